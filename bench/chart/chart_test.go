// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
)

func TestFormat(t *testing.T) {
	for _, test := range []struct {
		unit  Unit
		value float64
		want  string
	}{
		{Seconds, 0.0046, "4.6 ms"},
		{Seconds, 12.3, "12 s"},
		{Seconds, 0.00025, "250 µs"},
		{Bytes, 31 << 20, "31 MiB"},
		{Bytes, 1000 << 20, "1000 MiB"},
		{Bytes, 0, "0"},
		{BytesPerSecond, 3 << 30, "3 GiB/s"},
		{PerSecond, 52041, "52,041/s"},
		{Requests, 5.8, "5.8"},
	} {
		if got := test.unit.Format(test.value); got != test.want {
			t.Errorf("%v %s is written %q, want %q", test.value, test.unit, got, test.want)
		}
	}
}

func TestPicturesAreWellFormedAndSayWhatTheyShow(t *testing.T) {
	for name, picture := range map[string]string{
		"bars":             Bars("a & b", "time", Seconds, []Group{{"<one>", []Bar{{Name: "driver", Value: 0.04, Low: 0.03, High: 0.05, Driver: true}, {Name: "nothing"}}}}),
		"ratios":           Ratios("a & b", "ratio", 0.97, 1.03, []Ratio{{Name: "<one>", Value: 1, Low: 0.9, High: 1.1}}),
		"lines":            Lines("a & b", "volumes", "time", Seconds, []Line{{Name: "<one>", Points: []Point{{X: 10, Y: 1}, {X: 1000, Y: 2}}}}),
		"lines far apart":  Lines("a & b", "volumes", "memory", Bytes, []Line{{Name: "<one>", Points: []Point{{X: 1, Y: 1 << 20}, {X: 100, Y: 1 << 30}}}}),
		"one single point": Lines("a & b", "volumes", "time", Seconds, []Line{{Name: "<one>", Points: []Point{{X: 10, Y: 1}}}}),
	} {
		t.Run(name, func(t *testing.T) {
			var text strings.Builder
			for decoder := xml.NewDecoder(strings.NewReader(picture)); ; {
				token, err := decoder.Token()
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				if data, ok := token.(xml.CharData); ok {
					text.Write(data)
				}
			}
			for _, word := range []string{"a & b", "<one>"} {
				if !strings.Contains(text.String(), word) {
					t.Errorf("%q is not in the picture", word)
				}
			}
			if strings.Contains(picture, "NaN") || strings.Contains(picture, "Inf") {
				t.Error("a place in the picture is not a number")
			}
		})
	}
}

func TestScalesMapTheirEndsToTheirEnds(t *testing.T) {
	for name, s := range map[string]scale{
		"linear":      linearScale(0, 47, 1, 100, 200),
		"logarithmic": logScale([]float64{0.004, 0.9}, 1, 100, 200),
		"mebibytes":   logScale([]float64{30 << 20, 900 << 20}, 1<<20, 100, 200),
	} {
		t.Run(name, func(t *testing.T) {
			for value, want := range map[float64]float64{s.low: 100, s.high: 200} {
				if got := s.at(value); math.Abs(got-want) > 0.01 {
					t.Errorf("%v is at %v, want %v", value, got, want)
				}
			}
			if len(s.ticks) < 2 || len(s.ticks) > 9 {
				t.Errorf("the ticks are %v", s.ticks)
			}
		})
	}
}
