// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"sigs.k8s.io/yaml"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/migrate"
	"github.com/glusterfs-csi/glusterfs-csi/tests/documented"
)

const testdata = "../../../pkg/migrate/testdata"

// run is a command line without a cluster.
func run(t *testing.T, args ...string) (code int, out, progress string) {
	t.Helper()
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "none"))
	var stdout, stderr bytes.Buffer
	code = Run(t.Context(), Environment{Version: "v0", Out: &stdout, Err: &stderr}, args)
	return code, stdout.String(), stderr.String()
}

func TestExitCodes(t *testing.T) {
	complete := "--from-dir=" + testdata + "/subdirectory-and-hostnames/objects"
	for _, test := range []struct {
		name    string
		args    []string
		code    int
		mention string
	}{
		{"a complete plan", []string{"migrate", complete}, ExitDone, ""},
		{"a plan that leaves something to do", []string{"migrate", "--from-dir", testdata + "/operator/objects"}, ExitLeft, ""},
		{"no files", []string{"migrate", "--from-dir", t.TempDir()}, ExitDone, ""},
		{"servers that are said", []string{"migrate", "--from-dir", testdata + "/json/objects", "--servers", "glusterfs-cluster=10.0.0.1"}, ExitDone, ""},
		{"no such command", []string{"migrat"}, ExitUsage, `no command "migrat"`},
		{"no such flag", []string{"migrate", "--aply"}, ExitUsage, "unknown flag"},
		{"an argument", []string{"migrate", "gluster-pv"}, ExitUsage, "takes no arguments"},
		{"an unknown format", []string{"migrate", complete, "-o", "xml"}, ExitUsage, "table, wide, json, yaml, name"},
		{"apply and rollback", []string{"migrate", "--apply", "--rollback"}, ExitUsage, "exclude each other"},
		{"apply of files", []string{"migrate", complete, "--apply"}, ExitUsage, "--manifests"},
		{"a dry run of nothing", []string{"migrate", "--dry-run"}, ExitUsage, "need --apply or --rollback"},
		{"servers without a name", []string{"migrate", complete, "--servers", "10.0.0.1"}, ExitUsage, "[NAMESPACE/]NAME=ADDRESS"},
		{"a file in place of a directory", []string{"migrate", "--from-dir", testdata + "/recycled/objects/objects.yaml", "--servers", "glusterfs-cluster=10.0.0.1"}, ExitDone, ""},
		{"no such directory", []string{"migrate", "--from-dir", "/no/such"}, ExitFailed, "/no/such"},
		{"undelete of nothing", []string{"undelete"}, ExitUsage, "name the claims"},
		{"undelete of names and of all", []string{"undelete", "a", "--namespace-all"}, ExitUsage, "exclude each other"},
		{"one entry for two claims", []string{"undelete", "a", "b", "--entry", "x"}, ExitUsage, "--entry is of one claim"},
		{"undelete without a cluster", []string{"undelete", "a", "--context", "nowhere"}, ExitFailed, "nowhere"},
		{"trash of one and of all", []string{"trash", "-A", "-n", "shop"}, ExitUsage, "exclude each other"},
		{"recover of one and of all", []string{"recover", "-A", "-n", "shop"}, ExitUsage, "exclude each other"},
		{"recover of no time", []string{"recover", "--since", "1h", "--older-than", "2h"}, ExitUsage, "nothing was made"},
		{"recover of no labels", []string{"recover", "-l", "a in b"}, ExitUsage, "-l a in b"},
		{"a recovery that waits for nothing", []string{"recover", "--wait"}, ExitUsage, "need --apply"},
		{"recover without a cluster", []string{"recover", "--context", "nowhere"}, ExitFailed, "nowhere"},
		{"a bundle of no size", []string{"dump", "--max-size", "much"}, ExitUsage, "--max-size"},
		{"a bundle of the future", []string{"dump", "--since", "-1h"}, ExitUsage, "must be positive"},
		{"a bundle in place of a file", []string{"dump", "--file", testdata + "/json/plan.yaml"}, ExitFailed, "exists"},
		{"a bundle of no cluster", []string{"dump", "--file", filepath.Join(t.TempDir(), "dump"), "--context", "nowhere"}, ExitFailed, "nowhere"},
		{"no cluster", []string{"migrate", "--context", "nowhere"}, ExitFailed, "--from-dir"},
	} {
		t.Run(test.name, func(t *testing.T) {
			code, _, progress := run(t, test.args...)
			if code != test.code || !strings.Contains(progress, test.mention) {
				t.Errorf("exit %d and %q, want %d and %q", code, progress, test.code, test.mention)
			}
			if test.code != ExitLeft && (code == ExitDone) != (progress == "") {
				t.Errorf("exit %d with standard error %q", code, progress)
			}
		})
	}
}

func TestFormats(t *testing.T) {
	of := []string{"migrate", "--from-dir", testdata + "/operator/objects", "-o"}
	for format, decode := range map[string]func([]byte, any) error{
		"json": json.Unmarshal,
		"yaml": func(text []byte, into any) error { return yaml.UnmarshalStrict(text, into) },
	} {
		var plan migrate.Plan
		_, out, _ := run(t, append(of, format)...)
		if err := decode([]byte(out), &plan); err != nil || plan.APIVersion != migrate.APIVersion || plan.Kind != migrate.Kind || len(plan.Volumes) != 1 {
			t.Errorf("%s: %v, %+v", format, err, plan)
		}
	}
	if _, out, _ := run(t, append(of, "name")...); out != "persistentvolume/gluster-pv\npersistentvolumeclaim/gluster-claim\n" {
		t.Errorf("name: %q", out)
	}
	if _, out, _ := run(t, append(of, "wide")...); !strings.Contains(out, "RWX") || !strings.Contains(out, "kube-verify/glusterfs-cluster") {
		t.Errorf("wide: %s", out)
	}
}

func TestManifestsAreObjects(t *testing.T) {
	_, out, progress := run(t, "migrate", "--from-dir", testdata+"/operator/objects", "--manifests")
	var kinds []string
	for document := range strings.SplitSeq(out, "---\n") {
		var object map[string]any
		if err := yaml.Unmarshal([]byte(document), &object); err != nil {
			t.Fatal(err)
		}
		if object != nil {
			kinds = append(kinds, object["kind"].(string))
		}
	}
	if strings.Join(kinds, " ") != "PersistentVolume PersistentVolumeClaim" {
		t.Errorf("the objects are %v", kinds)
	}
	if !strings.Contains(progress, "PersistentVolumeClaim default/gluster-claim") {
		t.Errorf("what is left is not said: %q", progress)
	}
}

// TestReports holds the text of each case to 80 columns, but for what is to be copied as it is.
func TestReports(t *testing.T) {
	cases, err := filepath.Glob(testdata + "/*/objects")
	if err != nil || len(cases) == 0 {
		t.Fatal(err)
	}
	for _, dir := range cases {
		_, out, _ := run(t, "migrate", "--from-dir", dir)
		for line := range strings.Lines(out) {
			line = strings.TrimRight(line, "\n")
			isUnbroken := len(strings.Fields(line)) == 1 || strings.HasPrefix(strings.TrimSpace(line), "kubectl ")
			if utf8.RuneCountInString(line) > 80 && !isUnbroken {
				t.Errorf("%s: more than 80 columns: %s", dir, line)
			}
			if strings.TrimRight(line, " ") != line {
				t.Errorf("%s: %q ends with a space", dir, line)
			}
		}
		if strings.Contains(out, "\x1b") {
			t.Errorf("%s: colours, and no terminal", dir)
		}
	}
}

// TestTheOperatorsReport holds docs/migrate.md to what is printed of the operator's own objects.
func TestTheOperatorsReport(t *testing.T) {
	document, err := os.ReadFile("../../../docs/migrate.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{}, {"--manifests"}} {
		_, out, _ := run(t, append([]string{"migrate", "--from-dir", testdata + "/operator/objects"}, args...)...)
		if !strings.Contains(string(document), out) {
			t.Errorf("docs/migrate.md does not show what is printed:\n%s", out)
		}
	}
}

func TestHelpFitsATerminal(t *testing.T) {
	for _, args := range [][]string{{"--help"}, {"migrate", "--help"}, {"trash", "--help"}, {"undelete", "--help"}, {"recover", "--help"}, {"doctor", "--help"}, {"dump", "--help"}} {
		code, out, _ := run(t, args...)
		if code != ExitDone || !strings.Contains(out, "Exit codes: 0") {
			t.Errorf("%v: exit %d: %s", args, code, out)
		}
		for line := range strings.Lines(out) {
			if utf8.RuneCountInString(strings.TrimRight(line, "\n")) > 82 {
				t.Errorf("%v: %s", args, line)
			}
		}
	}
}

func TestTheFirstHelpHasTheExitCodesOfDoctor(t *testing.T) {
	if _, out, _ := run(t, "--help"); !strings.Contains(out, "Of doctor: 3 the worst is !, 4 the worst is ✘.") {
		t.Error(out)
	}
}

// TestWhatIsNoManifestIsSaidAlone: of an archive of the chart nothing can be read, so nothing is missing in it.
func TestWhatIsNoManifestIsSaidAlone(t *testing.T) {
	archive := filepath.Join(t.TempDir(), "chart.tgz")
	if err := os.WriteFile(archive, []byte("\x1f\x8b\x08\x00\x00"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, progress := run(t, "doctor", "--pre", archive)
	if code != ExitFailed || !strings.Contains(out, "chart.tgz") || strings.Contains(out, "clusters-file") || !strings.Contains(progress, "helm template") {
		t.Errorf("exit %d: %s%s", code, out, progress)
	}
}

func TestEveryFlagIsDocumented(t *testing.T) {
	for heading, commands := range map[string][]*cobra.Command{
		"Flags of `kubectl glusterfs migrate`":        {migrateCommand(command{})},
		"Flags of `kubectl glusterfs doctor`":         {doctorCommand(command{})},
		"Flags of `kubectl glusterfs dump`":           {dumpCommand(command{})},
		"Flags of `kubectl glusterfs trash|undelete`": {trashCommand(command{}), undeleteCommand(command{})},
		"Flags of `kubectl glusterfs recover`":        {recoverCommand(command{})},
	} {
		var flags []string
		for _, c := range commands {
			c.Flags().VisitAll(func(f *pflag.Flag) { flags = append(flags, "--"+f.Name) })
		}
		documented.Compare(t, heading, flags)
	}
}

func TestCompletion(t *testing.T) {
	_, out, _ := run(t, "__complete", "migrate", "-o", "")
	for _, format := range formats {
		if !strings.Contains(out, format+"\n") {
			t.Errorf("-o completes to %q, without %s", out, format)
		}
	}
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if code, out, _ := run(t, "completion", shell); code != ExitDone || len(out) == 0 {
			t.Errorf("completion %s: exit %d", shell, code)
		}
	}
}
