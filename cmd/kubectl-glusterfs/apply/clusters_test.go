// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// TestARollbackKeepsWhatWasAddedBetweenTwoMigrations to the clusters file.
func TestARollbackKeepsWhatWasAddedBetweenTwoMigrations(t *testing.T) {
	s := newSite(t)
	if err := s.apply(); err != nil {
		t.Fatal(err)
	}
	s.addCluster()
	between := s.clusters()
	s.addOld("second", "others", "10.0.0.9")
	if err := s.apply(); err != nil {
		t.Fatal(err)
	}
	if now := s.clusters(); !strings.Contains(now, "name: others") || !strings.Contains(now, "name: added") {
		t.Errorf("the second has written\n%s", now)
	}
	if err := s.applier().Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s.clusters() != between {
		t.Errorf("it was\n%s\nand is\n%s", between, s.clusters())
	}
	if !strings.Contains(s.said.String(), "where somebody changed it between two of them, before the last one") {
		t.Error(s.said.String())
	}
}

// TestAMigrationsOwnClustersFileIsNobodysEdit: later ones are stopped between record and file, and the one after them is
// not, or is not run at all.
func TestAMigrationsOwnClustersFileIsNobodysEdit(t *testing.T) {
	for _, isFinished := range []bool{true, false} {
		s := newSite(t)
		if err := s.apply(); err != nil {
			t.Fatal(err)
		}
		for i, name := range []string{"second", "third"} {
			s.addOld(name, "of-"+name, fmt.Sprint("10.0.1.", i))
			plan, err := s.plan(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			a, killed := s.applier(), errors.New("killed")
			a.Step = func(point string) error {
				if point == "write clusters" {
					return killed
				}
				return nil
			}
			if err := a.Apply(t.Context(), plan); !errors.Is(err, killed) {
				t.Fatal(err)
			}
		}
		if isFinished {
			if err := s.apply(); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.applier().Rollback(t.Context()); err != nil {
			t.Fatal(err)
		}
		if s.clusters() != clustersBefore {
			t.Errorf("finished: %v; after the rollback it is\n%s", isFinished, s.clusters())
		}
	}
}
