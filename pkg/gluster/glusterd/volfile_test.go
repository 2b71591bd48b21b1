// SPDX-License-Identifier: Apache-2.0

package glusterd

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// words is what a server sends as numbers.
func words(all ...uint32) (message []byte) {
	for _, word := range all {
		message = binary.BigEndian.AppendUint32(message, word)
	}
	return message
}

// spec is the answer to a question for a volfile, in one fragment.
func spec(returned int32, errno uint32, text string) []byte {
	body := words(xid, 1, 0, 0, 0, 0, uint32(returned), errno)
	body = appendOpaque(appendOpaque(body, []byte(text)), nil)
	return append(words(lastFragment|uint32(len(body))), body...)
}

func TestTheFirstServerThatHasAVolfileAnswers(t *testing.T) {
	const text = "volume gv0-client-0\n    type protocol/client\n    option remote-host pi-worker1\n" +
		"    option remote-subvolume /data/brick one/gv0\nend-volume\n\nvolume gv0\n    type cluster/distribute\n    subvolumes gv0-client-0\nend-volume\n"
	has := newServer(t, "127.87.3.1", spec(int32(len(text)), 0, text))
	lacks := newServer(t, "127.87.3.2", spec(-1, uint32(syscall.ENOENT), ""))
	stranger := newServer(t, "127.87.3.3", []byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
	hangsUp := newServer(t, "127.87.3.4", nil)

	got, err := pool(refusing, lacks, stranger, has).GetVolfile(t.Context(), "gv0")
	want := Volfile{
		{"gv0-client-0", "protocol/client", map[string]string{"remote-host": "pi-worker1", "remote-subvolume": "/data/brick one/gv0"}},
		{"gv0", "cluster/distribute", map[string]string{}},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
	_, err = pool(refusing, lacks).GetVolfile(t.Context(), "gv0")
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("where none has it: %v", err)
	}
	_, err = pool(refusing, stranger, hangsUp).GetVolfile(t.Context(), "gv0")
	if !errors.Is(err, ErrUnanswered) || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("where none answers: %v", err)
	}
	for _, says := range []string{refusing + " (connection refused)", stranger + " (answers like no glusterd", hangsUp + " (closed the connection)"} {
		if !strings.Contains(err.Error(), says) {
			t.Errorf("%v lacks %q", err, says)
		}
	}
}

func TestBricksHaveVolfilesOfTheirOwn(t *testing.T) {
	if got := BrickVolfile("gv0", "pi-worker1", "/data/brick1/gv0"); got != "gv0.pi-worker1.data-brick1-gv0" {
		t.Errorf("it is %s", got)
	}
}

func FuzzReadResults(f *testing.F) {
	whole := spec(2, 0, "ab")
	split := append(append(words(8), whole[4:12]...), words(lastFragment|uint32(len(whole)-12))...)
	for _, seed := range [][]byte{
		nil, whole, append(split, whole[12:]...), spec(-1, 2, ""), whole[:20], words(lastFragment | maxReply), words(0, 0, lastFragment),
		words(lastFragment|4, 2), words(lastFragment|24, xid, 1, 0, 0, 1<<31, 0), []byte("HTTP/1.1 200 OK"),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, sent []byte) {
		results, err := readResults(strings.NewReader(string(sent)))
		if err != nil {
			return
		}
		if len(results) > len(sent) {
			t.Errorf("%d bytes were made of %d", len(results), len(sent))
		}
		if text, err := parseSpec(results); err == nil && len(text) > len(results) {
			t.Errorf("%d bytes were made of %d", len(text), len(results))
		}
	})
}

func FuzzParseVolfile(f *testing.F) {
	for _, seed := range []string{
		"", "volume a\ntype b\noption c d e\nend-volume\n", "end-volume", "option a b", "volume a\nvolume b\nend-volume", "volume \nend-volume",
		"volume a\n\toption\nend-volume", "\x00volume",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		found := parseVolfile(text)
		if len(found) > strings.Count(text, "end-volume") {
			t.Errorf("%q has %d translators", text, len(found))
		}
		if slices.ContainsFunc(found, func(x Translator) bool { return x.Name == "" || x.Options == nil }) {
			t.Errorf("%q has %+v", text, found)
		}
	})
}
