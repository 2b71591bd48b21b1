// SPDX-License-Identifier: Apache-2.0

// Package protocol is what this machine and a virtual one tell each other: a plan and its files go in as a tar archive on a disk, and what
// comes of it comes out of a serial port, as lines of JSON.
package protocol

import "time"

const (
	// Dir is where the virtual machine has the archive's files.
	Dir = "/vm"
	// PlanFile is the name of the plan in the archive.
	PlanFile = "plan.json"
	// Source is the archive's directory of this repository's files.
	Source = "source"
	// Programs is the archive's directory of what was built.
	Programs = "programs"
)

// Plan is what a virtual machine is to do.
type Plan struct {
	Now  time.Time `json:"now"` // for a machine that has no clock
	Jobs []Job     `json:"jobs"`
}

// Job is one program that is to end with 0.
type Job struct {
	Name  string        `json:"name"`
	Dir   string        `json:"dir"`   // where it runs
	Args  []string      `json:"args"`  // its path, and its arguments
	Limit time.Duration `json:"limit"` // after which it is killed
}

// Report is one line of what the virtual machine says. It is of the job, or with no job of the machine.
type Report struct {
	Job    string        `json:"job,omitempty"`
	Output string        `json:"output,omitempty"` // what the job has printed since the report before
	Ended  bool          `json:"ended,omitempty"`
	Took   time.Duration `json:"took,omitempty"`   // of a job that has ended
	Error  string        `json:"error,omitempty"`  // of a job that has ended, or of the machine: then nothing follows
	Kernel string        `json:"kernel,omitempty"` // the first report says that
	Done   bool          `json:"done,omitempty"`   // the last one
}
