package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// args reads Evidence.Args, whose numbers are float64 if they came from JSON.
type args map[string]any

func (a args) number(key string) (float64, bool) {
	n, ok := a.float(key)
	return n, ok && math.Abs(n) < 1e12 // a report from elsewhere may say anything
}

func (a args) float(key string) (float64, bool) {
	switch v := a[key].(type) {
	case float64:
		return v, true
	case int:
		return float64(v), true
	case int64:
		return float64(v), true
	case uint8:
		return float64(v), true
	case uint16:
		return float64(v), true
	case uint32:
		return float64(v), true
	case time.Duration:
		return v.Seconds(), true
	}
	return 0, false
}

// count is a number, or 0 if there is none.
func (a args) count(key string) float64 {
	n, _ := a.number(key)
	return n
}

func (a args) yes(key string) bool {
	b, _ := a[key].(bool)
	return b
}

// text is any value as clean text of bounded length; empty if there is none.
func (a args) text(key string, limit int) string {
	switch v := a[key].(type) {
	case nil:
		return ""
	case string:
		return Clean(v, limit)
	case float64:
		return Clean(strconv.FormatFloat(v, 'f', -1, 64), limit)
	case []any, []string, []int:
		return Clean(strings.Trim(fmt.Sprint(v), "[]"), limit)
	default:
		return Clean(fmt.Sprint(v), limit)
	}
}

// time reads a time that is one, or its text.
func (a args) time(key string) (time.Time, bool) {
	switch v := a[key].(type) {
	case time.Time:
		return v, true
	case string:
		t, err := time.Parse(time.RFC3339Nano, v)
		return t, err == nil
	}
	return time.Time{}, false
}
