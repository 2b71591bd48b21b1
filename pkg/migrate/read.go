// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"bufio"
	"bytes"
	encoding "encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/json"
	yamlstream "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// maxFile bounds what is read of one file, in bytes.
const maxFile = 64 << 20

// ReadFiles reads all objects of a directory and the directories below it: YAML of several documents, JSON, kinds that
// are lists, and OpenShift's templates, whose parameters get their values. What cannot be read is among the findings,
// and the rest is read all the same.
func ReadFiles(dir fs.FS) ([]Object, []Finding, error) {
	var objects []Object
	var findings []Finding
	var others []string
	err := fs.WalkDir(dir, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if name != "." && strings.HasPrefix(entry.Name(), ".") {
				return fs.SkipDir // .git
			}
			return nil
		}
		if !isText(name) {
			others = append(others, name)
			return nil
		}
		found, wrong := ReadFile(dir, name)
		objects, findings = append(objects, found...), append(findings, wrong...)
		return nil
	})
	if len(others) > 0 {
		findings = append(findings, Finding{
			Severity: Note, About: "files", Message: "not read, since they are called neither .yaml, .yml, .json nor .txt: " + strings.Join(others, ", "),
		})
	}
	return objects, findings, err
}

func isText(name string) bool {
	return slices.Contains([]string{".yaml", ".yml", ".json", ".txt", ".tpl"}, strings.ToLower(path.Ext(name)))
}

// ReadFile is ReadFiles for one file, whatever it is called.
func ReadFile(dir fs.FS, name string) ([]Object, []Finding) {
	data, err := readFile(dir, name)
	if err != nil {
		return nil, []Finding{{Severity: Blocks, About: name, Message: "cannot be read: " + err.Error()}}
	}
	return readText(name, data)
}

func readFile(dir fs.FS, name string) ([]byte, error) {
	file, err := dir.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	data, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("it has more than %d MiB", maxFile>>20)
	}
	return data, err
}

// readText reads the objects of one file.
func readText(name string, data []byte) (objects []Object, findings []Finding) {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	if wrong := notYAML(string(data)); wrong != nil {
		wrong.About = name
		return nil, []Finding{*wrong}
	}
	documents, err := split(data)
	if err != nil {
		findings = append(findings, Finding{Severity: Blocks, About: name, Message: "cannot be read: " + err.Error()})
	}
	for i, document := range documents {
		source := name
		if len(documents) > 1 {
			source = fmt.Sprintf("%s, document %d", name, i+1)
		}
		content, err := decode(document)
		switch {
		case err != nil && bytes.Contains(document, []byte("{{")), err == nil && hasActions(content):
			findings = append(findings, chartSource(source))
			continue
		case err != nil:
			findings = append(findings, Finding{Severity: Blocks, About: source, Message: "is no YAML: " + firstLine(err.Error()), Cure: "mend it; what else the file has was read"})
			continue
		case content == nil:
			continue
		case text(content, "kind") == "":
			findings = append(findings, Finding{Severity: Note, About: source, Message: "is no object of Kubernetes: it has no kind"})
			continue
		}
		found, wrong := expand(content, source)
		objects, findings = append(objects, found...), append(findings, wrong...)
	}
	return objects, findings
}

// split separates documents: those of YAML, and JSON objects that follow each other.
func split(data []byte) ([][]byte, error) {
	if trimmed := bytes.TrimSpace(data); len(trimmed) > 0 && trimmed[0] == '{' {
		if documents, err := splitJSON(trimmed); err == nil {
			return documents, nil
		}
	}
	data = bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n"))
	reader := yamlstream.NewYAMLReader(bufio.NewReader(bytes.NewReader(data)))
	var documents [][]byte
	for {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return documents, nil
		}
		if err != nil {
			return documents, err
		}
		if len(bytes.TrimSpace(document)) > 0 {
			documents = append(documents, document)
		}
	}
}

func splitJSON(data []byte) ([][]byte, error) {
	decoder := encoding.NewDecoder(bytes.NewReader(data))
	var documents [][]byte
	for {
		var document encoding.RawMessage
		err := decoder.Decode(&document)
		if errors.Is(err, io.EOF) {
			return documents, nil
		}
		if err != nil {
			return nil, err
		}
		documents = append(documents, document)
	}
}

// decode returns the content of a document, nil where it has none.
func decode(document []byte) (map[string]any, error) {
	encoded, err := yaml.YAMLToJSON(document)
	if err != nil {
		return nil, err
	}
	var value any
	if err := json.Unmarshal(encoded, &value); err != nil {
		return nil, err
	}
	if value == nil {
		return nil, nil
	}
	content, ok := value.(map[string]any)
	if !ok {
		return nil, errors.New("an object is expected, with apiVersion and kind")
	}
	return content, nil
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
