// SPDX-License-Identifier: Apache-2.0

package migrate

import "regexp"

var (
	// templateAction is what Helm's sources have and YAML has not: a directive at the start of a line, or a value that is one.
	templateAction = regexp.MustCompile(`(?m)^\s*\{\{|[:\s]\{\{-?\s*(\.|include|template|toYaml|tpl|default|quote|printf|if|range|with|end|\$)`)
	describeName   = regexp.MustCompile(`(?m)^Name:\s+\S`)
	describeField  = regexp.MustCompile(`(?m)^(Labels|Annotations|StorageClass|Namespace|Reclaim Policy|Source|Subsets|Finalizers):`)
	kubectlTable   = regexp.MustCompile(`^\s*(NAMESPACE\s+)?NAME\s+[A-Z]`)
)

// notYAML recognises what people keep of their clusters and nobody can read objects from. It returns nil for anything else.
func notYAML(content string) *Finding {
	switch {
	case templateAction.MatchString(content):
		return &Finding{
			Severity: Blocks, Message: "is the source of a Helm chart (a Go template), not YAML",
			Cure: "give what Helm makes of it: `helm get manifest RELEASE -n NAMESPACE > file.yaml`, or `helm template CHART -f VALUES > file.yaml`",
		}
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
