// SPDX-License-Identifier: BSD-2-Clause-Patent

// Reads objects of Kubernetes as YAML and decodes each into the type that it says it is, by the published types of
// Kubernetes, the Prometheus operator, cert-manager and KEDA. A member that the type has not, a value of another kind, and
// a type that does not exist are errors. tests/deploy/kubernetes_types.py runs it.
package main

import (
	"bufio"
	"fmt"
	"io"
	"os"

	certmanager "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	keda "github.com/kedacore/keda/v2/apis/keda/v1alpha1"
	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/json"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes/scheme"
)

func main() {
	types := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{scheme.AddToScheme, monitoring.AddToScheme, certmanager.AddToScheme,
		keda.AddToScheme} {
		if err := add(types); err != nil {
			fmt.Println(err)
			os.Exit(2)
		}
	}
	decoder := json.NewSerializerWithOptions(json.DefaultMetaFactory, types, types,
		json.SerializerOptions{Yaml: true, Strict: true})
	reader := yaml.NewYAMLReader(bufio.NewReader(os.Stdin))
	good, bad := 0, 0
	for {
		document, err := reader.Read()
		if err == io.EOF {
			break
		}
		if err == nil {
			_, _, err = decoder.Decode(document, nil, nil)
		}
		if err != nil {
			fmt.Println(err)
			bad++
			if document == nil {
				break
			}
		} else {
			good++
		}
	}
	fmt.Printf("%d objects, %d wrong\n", good+bad, bad)
	if bad > 0 {
		os.Exit(1)
	}
}
