// SPDX-License-Identifier: Apache-2.0

//go:build !quick

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
	const runs = 10
	a, b := nodes(t, gluster.Strict)
	for _, journal := range []string{"DELETE", "TRUNCATE"} {
		for run := range runs {
			t.Run(fmt.Sprintf("%s %d", journal, run), func(t *testing.T) {
				t.Parallel()
				insertFromBoth(t, a, b, fmt.Sprintf("%s-%d.db", journal, run), journal)
			})
		}
	}
}

func insertFromBoth(t *testing.T, a, b node, database, journal string) {
	t.Helper()
	const each = 20
	if _, err := a.sqlite(database, journal, "CREATE TABLE t(row);"); err != nil {
		t.Fatal(err)
	}
	both(t, a, b, func(n node, who string) error {
		var sql strings.Builder
		for i := range each { // what fails ends the run, by -bail: each of these is acknowledged
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
		t.Fatalf("of %d acknowledged rows %d are there: %v", 2*each, len(rows)-1, rows)
	}
}
