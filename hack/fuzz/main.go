// SPDX-License-Identifier: Apache-2.0

// Command fuzz runs every fuzz target of the module, one after the other, since `go test`
// takes one at a time. It finds the targets itself, so none is forgotten.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

func main() {
	fuzztime := flag.String("fuzztime", "60s", "how long each target is fuzzed")
	flag.Parse()
	if err := run(*fuzztime); err != nil {
		fmt.Fprintln(os.Stderr, "fuzz:", err)
		os.Exit(1)
	}
}

func run(fuzztime string) error {
	packages, err := exec.Command("go", "list", "./...").Output()
	if err != nil {
		return fmt.Errorf("list packages: %w", err)
	}
	targets := 0
	for name := range strings.FieldsSeq(string(packages)) {
		list, err := exec.Command("go", "test", "-run=^$", "-list=^Fuzz", name).Output()
		if err != nil {
			return fmt.Errorf("list the fuzz targets of %s: %w", name, err)
		}
		for line := range strings.FieldsSeq(string(list)) {
			if !strings.HasPrefix(line, "Fuzz") {
				continue
			}
			targets++
			fmt.Printf("=== %s %s for %s\n", name, line, fuzztime)
			test := exec.Command("go", "test", "-run=^$", "-fuzz=^"+line+"$", "-fuzztime="+fuzztime, name)
			test.Stdout, test.Stderr = os.Stdout, os.Stderr
			if err := test.Run(); err != nil {
				return fmt.Errorf("%s of %s: %w", line, name, err)
			}
		}
	}
	fmt.Printf("%d fuzz targets, no failure\n", targets)
	return nil
}
