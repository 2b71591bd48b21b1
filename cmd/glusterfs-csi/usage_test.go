// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// execute runs a command line in this process, with a clusters file whose server nobody reaches.
func execute(t *testing.T, args ...string) (stdout string, err error) {
	t.Helper()
	var out bytes.Buffer
	root, dir := newRoot(), t.TempDir()
	clusters := filepath.Join(dir, "clusters.yaml")
	if err := os.WriteFile(clusters, []byte("clusters: [{name: pi, servers: [none.invalid], volumes: [gv0]}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	root.SetOut(&out)
	root.SetArgs(append(args, "--state-dir", filepath.Join(dir, "state"), "--clusters", clusters))
	err = root.ExecuteContext(t.Context())
	return out.String(), err
}

func TestWrongUsage(t *testing.T) {
	for name, test := range map[string]struct {
		args  []string
		words []string
	}{
		"an unknown command":       {[]string{"trsh"}, []string{"trsh", `did you mean "trash"`}},
		"an unknown subcommand":    {[]string{"trash", "empty"}, []string{"empty"}},
		"an unknown flag":          {[]string{"volume", "list", "--outptu", "json"}, []string{"--outptu", "--help"}},
		"another output":           {[]string{"volume", "list", "-o", "yaml"}, []string{"yaml", "table or json"}},
		"an argument too many":     {[]string{"volume", "list", "gv0"}, []string{"no argument", "gv0"}},
		"no entry":                 {[]string{"trash", "restore"}, []string{"one ENTRY", "trash list"}},
		"two entries":              {[]string{"trash", "purge", "a", "b"}, []string{"one ENTRY"}},
		"all and an entry":         {[]string{"trash", "purge", "--all", "a"}, []string{"different things"}},
		"all and some":             {[]string{"trash", "purge", "--all", "--older-than", "1h"}, []string{"different things"}},
		"no age":                   {[]string{"trash", "purge", "--older-than", "0s"}, []string{"not an age"}},
		"nobody to ask":            {[]string{"trash", "purge", "--all"}, []string{"--yes"}},
		"an entry that climbs":     {[]string{"trash", "purge", "pi/gv0/.."}, []string{"not the name of a trash entry"}},
		"a volume for an entry":    {[]string{"trash", "restore", "pi/gv0/pvc-1"}, []string{"not the name of a trash entry"}},
		"no volume in split-brain": {[]string{"volume", "split-brain"}, []string{"a VOLUME"}},
		"a file that climbs":       {[]string{"volume", "split-brain", "pi/gv0/pvc-1", "../x"}, []string{"PATH"}},
		"a copy of no kind":        {[]string{"volume", "split-brain", "pi/gv0/pvc-1", "--keep", "best"}, []string{"newest, largest or brick="}},
		"dry without a wish":       {[]string{"volume", "split-brain", "pi/gv0/pvc-1", "--dry-run"}, []string{"--dry-run is for --keep"}},
		"a node without a name":    {[]string{"node"}, []string{"--node-id"}},
		"an endpoint that is none": {[]string{"controller", "--endpoint", "nowhere"}, []string{"--endpoint", "nowhere"}},
	} {
		t.Run(name, func(t *testing.T) {
			stdout, err := execute(t, test.args...)
			if !errors.Is(err, errUsage) || stdout != "" {
				t.Fatalf("%v, and it printed %q; want wrong usage and no output", err, stdout)
			}
			for _, word := range test.words {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("it does not say %q: %v", word, err)
				}
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("it says more than a sentence: %v", err)
			}
		})
	}
}

func TestHoldersWhereThereAreNone(t *testing.T) {
	if text, err := execute(t, "node", "holders"); err != nil || !strings.HasPrefix(text, "POD") || strings.Count(text, "\n") != 1 {
		t.Errorf("%q, %v", text, err)
	}
	if text, err := execute(t, "node", "holders", "-o", "json"); err != nil || text != "[]\n" {
		t.Errorf("%q, %v", text, err)
	}
}

func TestHelpFitsAScreen(t *testing.T) {
	for _, args := range [][]string{{}, {"all"}, {"controller"}, {"node"}, {"node", "holders"}, {"volume", "list"}, {"volume", "check"}, {"volume", "split-brain"}, {"trash", "restore"}, {"trash", "purge"}} {
		text, err := execute(t, append(args, "--help")...)
		if err != nil {
			t.Fatal(err)
		}
		if lines := strings.Count(text, "\n"); lines > 30 || !strings.Contains(text, "--clusters") {
			t.Errorf("%q --help has %d lines:\n%s", args, lines, text)
		}
	}
	if text, err := execute(t, "--version"); text != "glusterfs-csi devel\n" || err != nil {
		t.Errorf("--version prints %q, %v", text, err)
	}
}
