// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"regexp"
	"strings"
)

var (
	describeName  = regexp.MustCompile(`(?m)^Name:\s+\S`)
	describeField = regexp.MustCompile(`(?m)^(Labels|Annotations|StorageClass|Namespace|Reclaim Policy|Source|Subsets|Finalizers):`)
	kubectlTable  = regexp.MustCompile(`^\s*(NAMESPACE\s+)?NAME\s+[A-Z]`)
)

// notYAML recognises what people keep of their clusters and nobody can read objects from. It returns nil for anything
// else.
func notYAML(content string) *Finding {
	switch {
	case describeName.MatchString(content) && describeField.MatchString(content):
		return &Finding{
			Severity: Blocks, Message: "is `kubectl describe` output, which lacks fields that are needed",
			Cure: "give `kubectl get pv -o yaml`, and so for claims, endpoints and services",
		}
	case kubectlTable.MatchString(content):
		return &Finding{
			Severity: Blocks, Message: "is the table that `kubectl get` prints, which lacks fields that are needed",
			Cure: "give `kubectl get … -o yaml`",
		}
	}
	return nil
}

// chartSource says that a document is what Helm makes objects from.
func chartSource(source string) Finding {
	return Finding{
		Severity: Blocks, About: source, Message: "is the source of a Helm chart (a Go template), not YAML",
		Cure: "give what Helm makes of it: `helm get manifest RELEASE -n NAMESPACE > file.yaml`, or `helm template CHART -f VALUES > file.yaml`",
	}
}

// hasActions says whether a name, or what says where data is, is still a template's action. Elsewhere an object may
// well have braces: rules of Prometheus do, and workflows of Argo.
func hasActions(content map[string]any) bool {
	has := false
	look := func(value any) {
		text, _ := value.(string)
		has = has || strings.Contains(text, "{{")
	}
	look(at(content, "metadata", "name"))
	look(at(content, "metadata", "namespace"))
	visitSources(content, func(source map[string]any) {
		for _, value := range source {
			look(value)
		}
	})
	return has
}

// visitSources visits each source of the old plugin, wherever it is.
func visitSources(value any, visit func(map[string]any)) {
	switch value := value.(type) {
	case map[string]any:
		for key, below := range value {
			if source, ok := below.(map[string]any); ok && key == "glusterfs" {
				visit(source)
			}
			visitSources(below, visit)
		}
	case []any:
		for _, below := range value {
			visitSources(below, visit)
		}
	}
}
