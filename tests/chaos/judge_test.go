// SPDX-License-Identifier: Apache-2.0

package chaos

import "testing"

func TestErrorsAreAllowedWhereTheirOwnClientHasDied(t *testing.T) {
	deaths := []death{{device: 40, from: 90, to: 100}, {device: 41, from: 290, to: 300}}
	for _, tc := range []struct {
		name string
		e    entry
		want bool
	}{
		{"the file was opened before", entry{Began: 99, Ended: 101, Opened: handle{40, 50}}, true},
		{"the call began long after", entry{Began: 900, Ended: 901, Opened: handle{40, 50}}, true},
		{"it was opened while the client died", entry{Began: 97, Ended: 101, Opened: handle{40, 96}}, true},
		{"the client of others died", entry{Began: 99, Ended: 101, Opened: handle{41, 50}}, false},
		{"it dies only later", entry{Began: 80, Ended: 85, Opened: handle{40, 50}}, false},
		{"a new client has the number of a dead one", entry{Began: 200, Ended: 201, Opened: handle{40, 150}}, false},
		{"nothing was ever opened", entry{Began: 99, Ended: 101}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := allowed(tc.e, deaths); got != tc.want {
				t.Errorf("got %v", got)
			}
		})
	}
}
