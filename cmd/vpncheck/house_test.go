package main

import (
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"vpncheck/testserver/netlab"
)

// The rules of the house, as tests.

const root = "../.."

// may says which of the project's packages each may import, tests included: imports only go down, and the two ends share bytes and sockets
// but no opinion (docs/design.md).
var may = map[string][]string{
	"probe/wire":        {},
	"probe/sock":        {"probe/wire"},
	"probe/witness":     {"probe/sock", "probe/wire"},
	"probe":             {"probe/witness", "probe/sock", "probe/wire"},
	"report/fix":        {},
	"report":            {"report/fix", "probe", "probe/witness", "probe/sock", "probe/wire"},
	"report/view":       {"report", "report/fix", "probe", "probe/witness", "probe/sock", "probe/wire"},
	"testserver/gate":   {"probe/wire"},
	"testserver":        {"testserver/gate", "probe/sock", "probe/wire"},
	"testserver/netlab": {},
}

func TestImportsGoDown(t *testing.T) {
	seen := map[string]bool{}
	eachGoFile(t, func(name string, src []byte) {
		dir := path.Dir(name)
		if dir == "cmd/vpncheck" {
			return // the one place that joins them all
		}
		allowed, ok := may[dir]
		if !ok {
			t.Errorf("%s: no rule for its package: add it to the table", name)
			return
		}
		seen[dir] = true
		file, err := parser.ParseFile(token.NewFileSet(), name, src, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, imp := range file.Imports {
			own, inside := strings.CutPrefix(strings.Trim(imp.Path.Value, `"`), "vpncheck/")
			if inside && own != dir && !slices.Contains(allowed, own) {
				t.Errorf("%s imports %s: its package may import only %v", name, own, allowed)
			}
		}
	})
	for _, dir := range []string{"probe", "probe/wire", "testserver", "testserver/netlab", "report/view"} {
		if !seen[dir] {
			t.Errorf("no file of %s was looked at", dir)
		}
	}
}

// Build tags are for sockets and the lab: everything else is the same on every system (the fields of a file's name count as tags).
func TestBuildTagsStayBelow(t *testing.T) {
	tagged := regexp.MustCompile(`(?m)^//go:build `)
	named := regexp.MustCompile(`_(linux|windows|darwin|unix)(_test)?\.go$`)
	eachGoFile(t, func(name string, src []byte) {
		dir := path.Dir(name)
		if dir == "probe/sock" || dir == "testserver/netlab" {
			return
		}
		if tagged.Match(src) || named.MatchString(name) {
			t.Errorf("%s is for some systems only: such files belong to probe/sock or testserver/netlab", name)
		}
	})
}

func TestFormatted(t *testing.T) {
	eachGoFile(t, func(name string, src []byte) {
		out, err := format.Source(src)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if string(out) != string(src) {
			t.Errorf("%s is not formatted: run gofmt", name)
		}
	})
}

// Nothing does I/O or registers itself by being imported.
func TestNoInit(t *testing.T) {
	eachGoFile(t, func(name string, src []byte) {
		file, err := parser.ParseFile(token.NewFileSet(), name, src, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
				t.Errorf("%s has an init function", name)
			}
		}
	})
}

// Whoever reads F04 or T19 in a comment finds it in docs/failures.md.
func TestFailuresAreExplained(t *testing.T) {
	doc, err := os.ReadFile(filepath.Join(root, "docs", "failures.md"))
	if err != nil {
		t.Fatal(err)
	}
	cited := regexp.MustCompile(`\b[FT][0-9]{2}\b`)
	explained := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^(?:#+ |\| ?)\**([FT][0-9]{2})\b`).FindAllStringSubmatch(string(doc), -1) {
		explained[m[1]] = true
	}
	n := 0
	eachGoFile(t, func(name string, src []byte) {
		for _, id := range cited.FindAllString(string(src), -1) {
			if n++; !explained[id] {
				t.Errorf("%s cites %s, which docs/failures.md does not explain", name, id)
			}
		}
	})
	if n < 20 {
		t.Errorf("found %d citations, want many: has the way of citing changed?", n)
	}
}

// A router is only read: nothing in the project can ask one to map a port, or to change or end anything. So goupnp's generated clients, which
// can, are not imported either; SOAP has one door, which opens for questions only; and NAT-PMP has one message, that for the outer address.
func TestRoutersAreOnlyRead(t *testing.T) {
	order := regexp.MustCompile(`(?i)(Add|Delete)(Any)?(PortMapping|Pinhole)|UpdatePinhole|(Force|Request)Termination|RequestConnection|Set(ConnectionType|AutoDisconnectTime|IdleDisconnectTime|WarnDisconnectDelay|EnabledForInternet|DefaultConnectionService)`)
	client := regexp.MustCompile(`goupnp/dcps|go-nat-pmp|jackpal`)
	action := regexp.MustCompile(`\b(?:call|PerformAction(?:Ctx)?)\([^"\n]*"(\w+)"`)
	questions := 0
	eachGoFile(t, func(name string, src []byte) {
		if name == "cmd/vpncheck/house_test.go" {
			return
		}
		if m := order.Find(src); m != nil {
			t.Errorf("%s: a router is never told to %s", name, m)
		}
		if m := client.Find(src); m != nil {
			t.Errorf("%s: %s can map ports: it is not for us", name, m)
		}
		if strings.HasSuffix(name, "_test.go") || !strings.HasPrefix(name, "probe/witness/router") {
			return
		}
		for _, m := range action.FindAllSubmatch(src, -1) {
			if questions++; !strings.HasPrefix(string(m[1]), "Get") {
				t.Errorf("%s: %s is not a question", name, m[1])
			}
		}
		if n := strings.Count(string(src), "PerformAction"); n > 1 || n == 1 && name != "probe/witness/router_upnp.go" {
			t.Errorf("%s: SOAP has more than one door", name)
		}
		if n, outer := strings.Count(string(src), ".Write("), strings.Count(string(src), "conn.Write([]byte{0, 0})"); name == "probe/witness/router_natpmp.go" && (n != 1 || outer != 1) {
			t.Errorf("%s: NAT-PMP asks for more than the outer address", name)
		}
	})
	if questions < 5 {
		t.Errorf("found %d questions to routers, want all: has the way of asking changed?", questions)
	}
}

// eachGoFile calls f for every Go file of the project, by its path from the root.
func eachGoFile(t *testing.T, f func(name string, src []byte)) {
	t.Helper()
	n := 0
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") && d.Name() != ".." || d.Name() == "testdata" || d.Name() == "dist") {
			return filepath.SkipDir
		}
		if d.IsDir() || filepath.Ext(p) != ".go" {
			return nil
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		src, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		n++
		f(filepath.ToSlash(rel), src)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if n < 50 {
		t.Fatalf("found %d Go files, want many", n)
	}
}

// TestRoutersAreExplained finds each router that the list of failures names.
func TestRoutersAreExplained(t *testing.T) {
	list, err := os.ReadFile(filepath.Join(root, "docs/failures.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, lab := range regexp.MustCompile(`(?m)Lab: .*(\n  .*)*`).FindAllString(string(list), -1) {
		for _, name := range regexp.MustCompile("`[a-z0-9-]+`").FindAllString(lab, -1) {
			name = strings.Trim(name, "`")
			if !slices.ContainsFunc(netlab.Routers(), func(r netlab.Router) bool { return strings.HasPrefix(r.Name, name) }) {
				t.Errorf("docs/failures.md names the router %s: the lab has none", name)
			}
		}
	}
}
