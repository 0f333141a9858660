package witness

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/huin/goupnp"
	"github.com/huin/goupnp/soap"
)

// What an internet gateway says of itself, in its description and in answers to SOAP (UPnP IGD 1 and 2). goupnp's generated clients are not
// used: they can map ports too, and fail at numbers that real routers write.

// connections are the services that know the outer address, the best first. A search for version 1 may find a device with version 2 only.
var connections = []string{
	"urn:schemas-upnp-org:service:WANIPConnection:2",
	"urn:schemas-upnp-org:service:WANIPConnection:1",
	"urn:schemas-upnp-org:service:WANPPPConnection:1",
}

const commonInterface = "urn:schemas-upnp-org:service:WANCommonInterfaceConfig:1"

const (
	maxElements = 2000 // of a description; each costs us much more than the router
	maxDepth    = 32
	maxLines    = 6
	maxForwards = 64
)

// fetch fetches a description.
func (a *routerAsker) fetch(ctx context.Context, page *url.URL) (*goupnp.RootDevice, error) {
	ctx, cancel := context.WithTimeout(ctx, a.page)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, page.String(), nil)
	if err != nil {
		return nil, err
	}
	resp, err := a.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("HTTP status %d", resp.StatusCode)
	}
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	return parseDescription(b, page)
}

// parseDescription reads the description that was at page.
func parseDescription(b []byte, page *url.URL) (*goupnp.RootDevice, error) {
	if err := small(b); err != nil {
		return nil, err
	}
	root := new(goupnp.RootDevice)
	if err := decoder(b).Decode(root); err != nil {
		return nil, fmt.Errorf("it is not what it should be: %w", err)
	}
	base := page
	if root.URLBaseStr != "" {
		u, err := url.Parse(root.URLBaseStr)
		if err != nil {
			return nil, fmt.Errorf("it is not what it should be: %w", err)
		}
		base = u
	}
	root.SetURLBase(base)
	return root, nil
}

func decoder(b []byte) *xml.Decoder {
	d := xml.NewDecoder(bytes.NewReader(b))
	d.DefaultSpace, d.CharsetReader = goupnp.DeviceXMLNamespace, charset
	return d
}

// charset reads what older routers write; names of more than ASCII are cut anyway.
func charset(label string, in io.Reader) (io.Reader, error) {
	switch strings.ToLower(label) {
	case "iso-8859-1", "iso8859-1", "latin1", "windows-1252", "us-ascii", "ascii":
		b, err := io.ReadAll(in)
		if err != nil {
			return nil, err
		}
		var s strings.Builder
		for _, c := range b {
			s.WriteRune(rune(c))
		}
		return strings.NewReader(s.String()), nil
	}
	return nil, errors.New("its character set is not known")
}

// small refuses a document that is short and yet would fill the memory.
func small(b []byte) error {
	d := decoder(b)
	elements, depth := 0, 0
	for {
		t, err := d.RawToken()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("it is not what it should be: %w", err)
		}
		switch t.(type) {
		case xml.StartElement:
			elements, depth = elements+1, depth+1
		case xml.EndElement:
			depth--
		}
		if elements > maxElements || depth > maxDepth {
			return errTooLong
		}
	}
}

// A line is one connection of a router to the outside, and the interface it is on.
type line struct {
	connection, common *goupnp.Service
	address            netip.Addr // the outer one
}

// lines returns a device's connections, the best first. All of them are on the gateway itself. The error says why there is none.
func (a *routerAsker) lines(root *goupnp.RootDevice) (out []line, err error) {
	var all []line
	eachService(&root.Device, nil, func(l line) { all = append(all, l) })
	err = errors.New("it describes no connection to the outside")
	for _, kind := range connections {
		for _, l := range all {
			switch {
			case l.connection.ServiceType != kind || len(out) == maxLines:
			case !a.ownsService(l.connection):
				err = fmt.Errorf("where to ask it: %w", errElsewhere)
			default:
				if !a.ownsService(l.common) {
					l.common = nil
				}
				out = append(out, l)
			}
		}
	}
	if len(out) > 0 {
		return out, nil
	}
	return nil, err
}

func (a *routerAsker) ownsService(s *goupnp.Service) bool {
	return s != nil && s.ControlURL.Ok && a.owns(&s.ControlURL.URL)
}

// eachService calls f for each service of a device and of those inside it, with the common interface that it belongs to.
func eachService(d *goupnp.Device, common *goupnp.Service, f func(line)) {
	for i := range d.Services {
		if d.Services[i].ServiceType == commonInterface {
			common = &d.Services[i]
		}
	}
	for i := range d.Services {
		f(line{connection: &d.Services[i], common: common})
	}
	for i := range d.Devices {
		eachService(&d.Devices[i], common, f)
	}
}

// call asks a service. What it says is in out, a pointer to a struct of strings, as it came.
func (a *routerAsker) call(ctx context.Context, s *goupnp.Service, action string, in, out any) error {
	if !strings.HasPrefix(action, "Get") {
		return fmt.Errorf("%s is not a question: nothing is ever changed in a router", action)
	}
	ctx, cancel := context.WithTimeout(ctx, a.page)
	defer cancel()
	client := s.NewSOAPClient()
	client.HTTPClient = *a.client
	err := client.PerformActionCtx(ctx, s.ServiceType, action, in, out)
	var f *soap.SOAPFaultError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &f):
		return upnpError(f.Detail.UPnPError.Errorcode)
	case strings.HasPrefix(err.Error(), "goupnp: error performing"): // its cause is in its text only
		return errSilent
	}
	return errUnreadable
}

var (
	errSilent     = errors.New("it does not answer")
	errUnreadable = errors.New("its answer cannot be read")
)

// up returns the first line that has an outer address, or else the first one.
func (a *routerAsker) up(ctx context.Context, lines []line) line {
	for _, l := range lines {
		var out struct{ NewExternalIPAddress string }
		if a.call(ctx, l.connection, "GetExternalIPAddress", nil, &out) != nil {
			continue
		}
		if wan, err := netip.ParseAddr(strings.TrimSpace(out.NewExternalIPAddress)); err == nil && outer(wan) {
			l.address = wan
			return l
		}
	}
	return lines[0]
}

func (a *routerAsker) uptime(ctx context.Context, connection *goupnp.Service) time.Duration {
	var out struct{ NewUptime string }
	if a.call(ctx, connection, "GetStatusInfo", nil, &out) != nil {
		return 0
	}
	n, err := strconv.ParseUint(strings.TrimSpace(out.NewUptime), 10, 32)
	if err != nil {
		return 0
	}
	return time.Duration(n) * time.Second
}

// counters reads both counters, one after the other: no router tells them together.
func (a *routerAsker) counters(ctx context.Context, common *goupnp.Service) (Counters, error) {
	var sent struct{ NewTotalPacketsSent string }
	if err := a.call(ctx, common, "GetTotalPacketsSent", nil, &sent); err != nil {
		return Counters{}, err
	}
	var received struct{ NewTotalPacketsReceived string }
	if err := a.call(ctx, common, "GetTotalPacketsReceived", nil, &received); err != nil {
		return Counters{}, err
	}
	c := Counters{At: time.Now()}
	var err1, err2 error
	c.Sent, err1 = counter(sent.NewTotalPacketsSent)
	c.Received, err2 = counter(received.NewTotalPacketsReceived)
	return c, errors.Join(err1, err2)
}

// counter reads a number that wraps at 2^32. Some routers count on beyond, and some write the upper half as negative numbers.
func counter(s string) (uint32, error) {
	s = strings.TrimSpace(s)
	if n, err := strconv.ParseUint(s, 10, 64); err == nil {
		return uint32(n), nil
	}
	n, err := strconv.ParseInt(s, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("%q is not a number", printable(s, 20))
	}
	return uint32(n), nil
}

// mapping is one entry of the router's table, as it says it.
type mapping struct {
	NewRemoteHost, NewExternalPort, NewProtocol, NewInternalPort, NewInternalClient, NewEnabled, NewPortMappingDescription string
}

// forwards reads the table of forwards entry by entry, and keeps those that touch a VPN. The text says why that may not be all.
func (a *routerAsker) forwards(ctx context.Context, connection *goupnp.Service) (out []Forward, why string) {
	ctx, cancel := context.WithTimeout(ctx, a.waits.forwards)
	defer cancel()
	for i := range maxForwards {
		var m mapping
		err := a.call(ctx, connection, "GetGenericPortMappingEntry", &struct{ NewPortMappingIndex string }{strconv.Itoa(i)}, &m)
		switch {
		case errors.Is(err, indexInvalid), errors.Is(err, noSuchEntryInList):
			return out, ""
		case ctx.Err() != nil:
			return out, fmt.Sprintf("the time was over after %d of the router's forwards", i)
		case err != nil:
			return out, "the router's forwards: " + reason(err)
		}
		if f, ok := m.forward(); ok && f.touches() {
			out = append(out, f)
		}
	}
	return out, fmt.Sprintf("only the router's first %d forwards were read", maxForwards)
}

// forward is what an entry says. One that is off, or is for one far end only, takes nobody's answers; one that cannot be read is none.
func (m mapping) forward() (Forward, bool) {
	external, err := strconv.ParseUint(strings.TrimSpace(m.NewExternalPort), 10, 16)
	if err != nil {
		return Forward{}, false
	}
	proto := strings.ToUpper(strings.TrimSpace(m.NewProtocol))
	if proto != "TCP" && proto != "UDP" {
		return Forward{}, false
	}
	far := strings.TrimSpace(m.NewRemoteHost)
	if off := strings.TrimSpace(m.NewEnabled); off == "0" || strings.EqualFold(off, "false") || far != "" && far != "0.0.0.0" && far != "*" {
		return Forward{}, false
	}
	internal, _ := strconv.ParseUint(strings.TrimSpace(m.NewInternalPort), 10, 16)
	to, _ := netip.ParseAddr(strings.TrimSpace(m.NewInternalClient))
	return Forward{Proto: proto, External: uint16(external), Internal: uint16(internal), To: to.WithZone(""),
		Says: printable(m.NewPortMappingDescription, maxText)}, true
}

// An upnpError is the code with which a router refuses (UPnP Device Architecture 1.1, section 3.2.2, and IGD).
type upnpError int

const (
	invalidAction     upnpError = 401
	notAuthorised     upnpError = 606
	indexInvalid      upnpError = 713 // of a table's entry: the table ended before it
	noSuchEntryInList upnpError = 714
)

func (e upnpError) Error() string {
	switch e {
	case invalidAction:
		return "it does not tell them"
	case notAuthorised:
		return "it may not tell them"
	}
	return fmt.Sprintf("it answers with error %d", int(e))
}
