// SPDX-License-Identifier: Apache-2.0

package consistency

import (
	"bytes"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
)

// sqlite runs SQL on a node, and returns the lines that it said.
func (n node) sqlite(database, journal, sql string) ([]string, error) {
	cmd := exec.Command("sqlite3", "-bail", "-cmd", ".timeout 20000", n.path(database)) // in milliseconds
	cmd.Stdin = strings.NewReader(".output /dev/null\nPRAGMA journal_mode=" + journal + ";\n.output stdout\n" + sql)
	var said, complained bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &complained
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("sqlite3: %w: %s%s", err, complained.String(), said.String())
	}
	return strings.Fields(said.String()), nil
}

// An INSERT that SQLite has acknowledged is a row that is there.
func TestSQLiteFromTwoNodesLosesNoRow(t *testing.T) {
	const runs, each = 10, 20
	a, b := nodes(t, gluster.Strict)
	for _, journal := range []string{"DELETE", "TRUNCATE"} {
		t.Run(journal, func(t *testing.T) {
			for run := range runs {
				database := fmt.Sprintf("%s-%d.db", journal, run)
				if _, err := a.sqlite(database, journal, "CREATE TABLE t(row);"); err != nil {
					t.Fatal(err)
				}
				both(t, a, b, func(n node, who string) error {
					var sql strings.Builder
					for i := range each { // what fails ends the run, by -bail
						fmt.Fprintf(&sql, "INSERT INTO t VALUES('%s%d');\n", who, i)
					}
					_, err := n.sqlite(database, journal, sql.String())
					return err
				})
				rows, err := b.sqlite(database, journal, "PRAGMA integrity_check; SELECT row FROM t;")
				if err != nil {
					t.Fatal(err)
				}
				want := []string{"ok"}
				for i := range each {
					want = append(want, fmt.Sprintf("a%d", i), fmt.Sprintf("b%d", i))
				}
				slices.Sort(want)
				slices.Sort(rows)
				if !slices.Equal(rows, want) {
					t.Fatalf("run %d: of %d acknowledged rows %d are there: %v", run, 2*each, len(rows)-1, rows)
				}
			}
		})
	}
}
