package probe

import (
	"time"
)

// An Event is what happens while a run is under way, as it happens.
type Event struct {
	Kind     string    `json:"event"` // "session", "started", "percent", "verdict", "done"
	At       time.Time `json:"at"`
	Protocol string    `json:"protocol,omitempty"`
	Finding  *Finding  `json:"finding,omitempty"` // with "verdict"
	Percent  int       `json:"percent,omitempty"` // with "percent"
}

// A Result is a whole run: facts, and what Judge made of them.
type Result struct {
	Started       time.Time
	Ended         time.Time
	Observations  []Observation // in the order of the probes
	Findings      []Finding     // one for each observation
	Circumstances Circumstances
}
