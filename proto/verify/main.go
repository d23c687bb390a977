// Prints the descriptor compiled into k8s.io/cri-api as JSON, for verify-upstream.ts to compare with our api.proto.
package main

import (
	"encoding/json"
	"os"
	"runtime/debug"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

type field struct {
	Name       string `json:"name"`
	Number     int    `json:"number"`
	Type       string `json:"type"`
	Label      string `json:"label"`
	Oneof      string `json:"oneof,omitempty"`
	Deprecated bool   `json:"deprecated,omitempty"`
	Redacted   bool   `json:"redacted,omitempty"`
}

type message struct {
	Name   string  `json:"name"`
	Fields []field `json:"fields"`
}

type value struct {
	Name   string `json:"name"`
	Number int    `json:"number"`
}

type enum struct {
	Name   string  `json:"name"`
	Values []value `json:"values"`
}

type method struct {
	Name           string `json:"name"`
	Request        string `json:"request"`
	Response       string `json:"response"`
	RequestStream  bool   `json:"requestStream,omitempty"`
	ResponseStream bool   `json:"responseStream,omitempty"`
}

type service struct {
	Name    string   `json:"name"`
	Methods []method `json:"methods"`
}

type dump struct {
	Module   string    `json:"module"`
	Version  string    `json:"version"`
	Package  string    `json:"package"`
	Syntax   string    `json:"syntax"`
	Services []service `json:"services"`
	Messages []message `json:"messages"`
	Enums    []enum    `json:"enums"`
}

type descriptors interface {
	Messages() protoreflect.MessageDescriptors
	Enums() protoreflect.EnumDescriptors
}

func (d *dump) collect(from descriptors) {
	for i := 0; i < from.Enums().Len(); i++ {
		source := from.Enums().Get(i)
		e := enum{Name: string(source.FullName())}
		for j := 0; j < source.Values().Len(); j++ {
			v := source.Values().Get(j)
			e.Values = append(e.Values, value{string(v.Name()), int(v.Number())})
		}
		d.Enums = append(d.Enums, e)
	}
	for i := 0; i < from.Messages().Len(); i++ {
		source := from.Messages().Get(i)
		if source.IsMapEntry() {
			continue // shown as the type of the map field
		}
		m := message{Name: string(source.FullName()), Fields: []field{}}
		for j := 0; j < source.Fields().Len(); j++ {
			m.Fields = append(m.Fields, describe(source.Fields().Get(j)))
		}
		d.Messages = append(d.Messages, m)
		d.collect(source)
	}
}

func describe(source protoreflect.FieldDescriptor) field {
	f := field{Name: string(source.Name()), Number: int(source.Number()), Type: typeName(source)}
	switch {
	case source.IsMap():
		f.Type = "map<" + typeName(source.MapKey()) + ", " + typeName(source.MapValue()) + ">"
		f.Label = "map"
	case source.IsList() && source.IsPacked():
		f.Label = "packed"
	default:
		f.Label = source.Cardinality().String()
	}
	if oneof := source.ContainingOneof(); oneof != nil {
		f.Oneof = string(oneof.Name())
	}
	if options, ok := source.Options().(*descriptorpb.FieldOptions); ok {
		f.Deprecated = options.GetDeprecated()
		f.Redacted = options.GetDebugRedact()
	}
	return f
}

func typeName(source protoreflect.FieldDescriptor) string {
	switch source.Kind() {
	case protoreflect.MessageKind, protoreflect.GroupKind:
		return string(source.Message().FullName())
	case protoreflect.EnumKind:
		return string(source.Enum().FullName())
	default:
		return source.Kind().String()
	}
}

func moduleVersion(path string) string {
	info, _ := debug.ReadBuildInfo()
	for _, dependency := range info.Deps {
		if dependency.Path == path {
			return dependency.Version
		}
	}
	return "unknown"
}

func main() {
	// The variable that holds the file is named after a path of the upstream build; any message leads to it as well.
	file := (&cri.VersionRequest{}).ProtoReflect().Descriptor().ParentFile()
	d := dump{
		Module:  "k8s.io/cri-api",
		Version: moduleVersion("k8s.io/cri-api"),
		Package: string(file.Package()),
		Syntax:  file.Syntax().String(),
	}
	for i := 0; i < file.Services().Len(); i++ {
		source := file.Services().Get(i)
		s := service{Name: string(source.FullName())}
		for j := 0; j < source.Methods().Len(); j++ {
			m := source.Methods().Get(j)
			s.Methods = append(s.Methods, method{
				string(m.Name()), string(m.Input().FullName()), string(m.Output().FullName()),
				m.IsStreamingClient(), m.IsStreamingServer(),
			})
		}
		d.Services = append(d.Services, s)
	}
	d.collect(file)
	out := json.NewEncoder(os.Stdout)
	out.SetEscapeHTML(false)
	if err := out.Encode(d); err != nil {
		panic(err)
	}
}
