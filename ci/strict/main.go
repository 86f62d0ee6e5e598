// Command strict checks files for deployment against the types of the programs that read them. Fields that do not exist are
// errors, as are values of a wrong type. What is wrong is written to standard error.
//
//	strict compose FILE...          files of compose, merged
//	strict kustomize FOLDER         what `kubectl apply -k FOLDER` would send
//	strict grafana FILE...          dashboards
package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: strict compose|kustomize|grafana FILE...")
		os.Exit(2)
	}
	checks := map[string]func([]string) error{"compose": compose, "kustomize": kustomize, "grafana": grafana}
	check, known := checks[os.Args[1]]
	if !known {
		fmt.Fprintln(os.Stderr, "strict: no check", os.Args[1])
		os.Exit(2)
	}
	if err := check(os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "strict:", err)
		os.Exit(1)
	}
}

func compose(files []string) error {
	options, err := cli.NewProjectOptions(files, cli.WithResolvedPaths(true))
	if err != nil {
		return err
	}
	project, err := options.LoadProject(context.Background())
	if err != nil {
		return err
	}
	fmt.Println("compose:", project.ServiceNames())
	return nil
}

func kustomize(folders []string) error {
	for _, folder := range folders {
		made, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), folder)
		if err != nil {
			return err
		}
		for _, resource := range made.Resources() {
			text, err := resource.AsYAML()
			if err != nil {
				return err
			}
			name := resource.GetKind() + " " + resource.GetName()
			if err := object(resource.GetKind(), text); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			fmt.Println("kustomize:", name)
		}
	}
	return nil
}

// object reads a manifest as the type of its kind.
func object(kind string, text []byte) error {
	types := map[string]any{
		"ConfigMap":      &core.ConfigMap{},
		"Deployment":     &apps.Deployment{},
		"NetworkPolicy":  &networking.NetworkPolicy{},
		"PrometheusRule": &monitoring.PrometheusRule{},
		"Service":        &core.Service{},
		"ServiceMonitor": &monitoring.ServiceMonitor{},
	}
	into, known := types[kind]
	if !known {
		return fmt.Errorf("no type is known for the kind %s: add it to this program", kind)
	}
	return yaml.UnmarshalStrict(text, into)
}

// real returns nil for an error that is an empty list: the SDK returns one when nothing is wrong.
func real(err error) error {
	var all cog.BuildErrors
	if errors.As(err, &all) && len(all) == 0 {
		return nil
	}
	return err
}

func grafana(files []string) error {
	plugins.RegisterDefaultPlugins()
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		board := dashboard.Dashboard{}
		if err := real(board.UnmarshalJSONStrict(text)); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		if err := real(board.Validate()); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		if board.Title == nil {
			return fmt.Errorf("%s: it has no title", file)
		}
		fmt.Println("grafana:", *board.Title, len(board.Panels), "panels")
	}
	return nil
}
