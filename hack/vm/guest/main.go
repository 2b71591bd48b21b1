// SPDX-License-Identifier: Apache-2.0

// Command guest is the first process of a virtual machine of make test-vm: it loads modules, makes a Debian's disk its root, mounts what
// systemd would, and does what the plan says. Called as go it stands in for that, where tests build the driver.
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

// The steps of the first process: it executes itself after the first, and starts itself for the third.
const (
	inInitramfs = "/init"
	inRoot      = "vm-init"
	asJobs      = "vm-jobs"
)

func main() {
	var err error
	switch filepath.Base(os.Args[0]) {
	case filepath.Base(inInitramfs):
		err = bootRoot()
	case inRoot:
		err = serve()
	case asJobs:
		err = runPlan()
	case "go":
		err = build(os.Args[1:])
	default:
		err = fmt.Errorf("%s is nothing that this program is called as", os.Args[0])
	}
	if err == nil {
		return
	}
	fmt.Fprintf(os.Stderr, "%s: %v\n", os.Args[0], err)
	if os.Getpid() == 1 {
		powerOff()
	}
	os.Exit(1)
}
