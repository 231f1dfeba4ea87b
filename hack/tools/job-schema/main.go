// Prints lib/kube/job_schema.inc: how Kubernetes numbers the fields of a batch/v1 Job in protobuf, read from the
// tags of its Go types. Left out is what no Job says that is to be created: its status, times, managed fields.
package main

import (
	"fmt"
	"reflect"
	"strings"

	batch "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

var leftOut = map[reflect.Type]bool{
	reflect.TypeOf(batch.JobStatus{}):         true,
	reflect.TypeOf(meta.Time{}):               true,
	reflect.TypeOf(meta.MicroTime{}):          true,
	reflect.TypeOf(meta.ManagedFieldsEntry{}): true,
}

// They have a form of their own in JSON, which the reader of the table knows.
var special = map[reflect.Type]bool{
	reflect.TypeOf(resource.Quantity{}):  true,
	reflect.TypeOf(intstr.IntOrString{}): true,
}

type printer struct {
	seen  map[reflect.Type]bool
	queue []reflect.Type
}

// The word for a value's type; empty for what is left out.
func (p *printer) word(of reflect.Type) string {
	switch of.Kind() {
	case reflect.Pointer:
		return p.word(of.Elem())
	case reflect.String:
		return "string"
	case reflect.Bool:
		return "bool"
	case reflect.Int32, reflect.Int64:
		return of.Kind().String()
	case reflect.Struct:
		if leftOut[of] {
			return ""
		}
		if !p.seen[of] && !special[of] {
			p.seen[of] = true
			p.queue = append(p.queue, of)
		}
		return of.Name()
	}
	return ""
}

// "list" or "map" and the word for what they hold, or the word alone.
func (p *printer) words(of reflect.Type) string {
	prefix := ""
	switch of.Kind() {
	case reflect.Slice:
		prefix, of = "list ", of.Elem()
	case reflect.Map:
		prefix, of = "map ", of.Elem()
	}
	if word := p.word(of); word != "" {
		return prefix + word
	}
	return ""
}

func (p *printer) printMessage(of reflect.Type) {
	fmt.Println(of.Name())
	for i := range of.NumField() {
		field := of.Field(i)
		tag := strings.Split(field.Tag.Get("protobuf"), ",")
		words := p.words(field.Type)
		if len(tag) < 2 || words == "" {
			continue
		}
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		if strings.Contains(options, "inline") {
			name = "-" // its members stand beside the others in JSON
		}
		fmt.Printf(" %s %s %s\n", name, tag[1], words)
	}
}

func main() {
	fmt.Println("// Written by hack/job-schema, from the Go types of Kubernetes.")
	fmt.Println(`R"(`)
	printer := printer{seen: map[reflect.Type]bool{}}
	printer.word(reflect.TypeOf(batch.Job{}))
	for len(printer.queue) > 0 {
		next := printer.queue[0]
		printer.queue = printer.queue[1:]
		printer.printMessage(next)
	}
	fmt.Println(`)"`)
}
