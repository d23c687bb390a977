// A plugin on NRI's own stub that does what its behaviour says: for tests of the other side. It prints every event as a
// line of JSON, and takes orders as lines on standard input.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/containerd/nri/pkg/api"
	"github.com/containerd/nri/pkg/stub"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// behaviour comes as JSON, by flag or, for a plugin that the runtime starts, as its configuration.
type behaviour struct {
	// File that events are written to; standard output if empty.
	Log string `json:"log"`
	// Names of the events to subscribe to, as NRI spells them in lower case; empty for all.
	Events string `json:"events"`
	// By event: an error to answer with.
	Fail map[string]string `json:"fail"`
	// By event: milliseconds to wait before answering.
	Delay map[string]int `json:"delay"`
	// What to adjust of containers, by container name; "*" for all.
	Adjust map[string]json.RawMessage `json:"adjust"`
	// Updates to answer with, by event. An id of "self" stands for the container of the event.
	Update map[string][]json.RawMessage `json:"update"`
	// Events during which UpdateContainers is called with these.
	CallDuring map[string][]json.RawMessage `json:"callDuring"`
	// Reason to reject adjustments with; empty to agree.
	Reject        string `json:"reject"`
	FailRequest   bool   `json:"failRequest"`
	KeepConnected bool   `json:"keepConnected"`
}

type plugin struct {
	behaviour behaviour
	stub      stub.Stub
	lock      sync.Mutex
	out       *os.File
	// Whether the runtime has taken it in.
	isConfigured atomic.Bool
	ending       sync.Once
}

type line struct {
	Event     string          `json:"event"`
	Pod       json.RawMessage `json:"pod,omitempty"`
	Container json.RawMessage `json:"container,omitempty"`
	More      any             `json:"more,omitempty"`
}

func text(message proto.Message) json.RawMessage {
	out, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(message)
	if err != nil {
		panic(err)
	}
	return out
}

func (p *plugin) print(event string, pod *api.PodSandbox, container *api.Container, more any) {
	l := line{Event: event, More: more}
	if pod != nil {
		l.Pod = text(pod)
	}
	if container != nil {
		l.Container = text(container)
	}
	out, _ := json.Marshal(l)
	p.lock.Lock()
	defer p.lock.Unlock()
	fmt.Fprintln(p.out, string(out))
}

func (p *plugin) adopt(config string) error {
	if config == "" {
		return nil
	}
	if err := json.Unmarshal([]byte(config), &p.behaviour); err != nil {
		return err
	}
	if p.behaviour.Log != "" {
		file, err := os.OpenFile(p.behaviour.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		p.out = file
	}
	return nil
}

// react prints an event and then waits, calls the runtime, or fails, as it is to.
func (p *plugin) react(event string, pod *api.PodSandbox, container *api.Container, more any) error {
	p.print(event, pod, container, more)
	if ms, ok := p.behaviour.Delay[event]; ok {
		time.Sleep(time.Duration(ms) * time.Millisecond)
	}
	if raw, ok := p.behaviour.CallDuring[event]; ok {
		failed, err := p.stub.UpdateContainers(updatesOf(raw, container))
		p.print("updated", nil, nil, map[string]any{"failed": len(failed), "error": fmt.Sprint(err)})
	}
	if message, ok := p.behaviour.Fail[event]; ok {
		return errors.New(message)
	}
	return nil
}

func updatesOf(raw []json.RawMessage, container *api.Container) []*api.ContainerUpdate {
	var updates []*api.ContainerUpdate
	for _, each := range raw {
		update := &api.ContainerUpdate{}
		if err := protojson.Unmarshal(each, update); err != nil {
			panic(err)
		}
		if update.ContainerId == "self" {
			update.ContainerId = container.GetId()
		}
		updates = append(updates, update)
	}
	return updates
}

func (p *plugin) Configure(_ context.Context, config, name, version string) (api.EventMask, error) {
	p.isConfigured.Store(true)
	if err := p.adopt(config); err != nil {
		return 0, err
	}
	err := p.react("Configure", nil, nil, map[string]string{
		"runtime": name, "version": version, "nri": p.stub.RuntimeNRIVersion(), "request_timeout": p.stub.RequestTimeout().String(),
	})
	if err != nil || p.behaviour.Events == "" {
		return 0, err
	}
	return api.ParseEventMask(p.behaviour.Events)
}

func (p *plugin) Synchronize(_ context.Context, pods []*api.PodSandbox, containers []*api.Container) ([]*api.ContainerUpdate, error) {
	names := []string{}
	for _, container := range containers {
		names = append(names, container.Name+" "+container.State.String())
	}
	if err := p.react("Synchronize", nil, nil, map[string]any{"pods": len(pods), "containers": names}); err != nil {
		return nil, err
	}
	return updatesOf(p.behaviour.Update["Synchronize"], nil), nil
}

func (p *plugin) Shutdown(context.Context) { _ = p.react("Shutdown", nil, nil, nil) }

func (p *plugin) RunPodSandbox(_ context.Context, pod *api.PodSandbox) error {
	return p.react("RunPodSandbox", pod, nil, nil)
}
func (p *plugin) UpdatePodSandbox(_ context.Context, pod *api.PodSandbox, overhead, resources *api.LinuxResources) error {
	return p.react("UpdatePodSandbox", pod, nil, map[string]any{"overhead": text(overhead), "resources": text(resources)})
}
func (p *plugin) PostUpdatePodSandbox(_ context.Context, pod *api.PodSandbox) error {
	return p.react("PostUpdatePodSandbox", pod, nil, nil)
}
func (p *plugin) StopPodSandbox(_ context.Context, pod *api.PodSandbox) error {
	return p.react("StopPodSandbox", pod, nil, nil)
}
func (p *plugin) RemovePodSandbox(_ context.Context, pod *api.PodSandbox) error {
	return p.react("RemovePodSandbox", pod, nil, nil)
}

func (p *plugin) CreateContainer(_ context.Context, pod *api.PodSandbox, container *api.Container) (*api.ContainerAdjustment, []*api.ContainerUpdate, error) {
	if err := p.react("CreateContainer", pod, container, nil); err != nil {
		return nil, nil, err
	}
	raw, ok := p.behaviour.Adjust[container.Name]
	if !ok {
		raw, ok = p.behaviour.Adjust["*"]
	}
	updates := updatesOf(p.behaviour.Update["CreateContainer"], container)
	if !ok {
		return nil, updates, nil
	}
	adjust := &api.ContainerAdjustment{}
	if err := protojson.Unmarshal(raw, adjust); err != nil {
		return nil, nil, err
	}
	return adjust, updates, nil
}

func (p *plugin) PostCreateContainer(_ context.Context, pod *api.PodSandbox, container *api.Container) error {
	return p.react("PostCreateContainer", pod, container, nil)
}
func (p *plugin) StartContainer(_ context.Context, pod *api.PodSandbox, container *api.Container) error {
	return p.react("StartContainer", pod, container, nil)
}
func (p *plugin) PostStartContainer(_ context.Context, pod *api.PodSandbox, container *api.Container) error {
	return p.react("PostStartContainer", pod, container, nil)
}
func (p *plugin) UpdateContainer(_ context.Context, pod *api.PodSandbox, container *api.Container, resources *api.LinuxResources) ([]*api.ContainerUpdate, error) {
	if err := p.react("UpdateContainer", pod, container, text(resources)); err != nil {
		return nil, err
	}
	return updatesOf(p.behaviour.Update["UpdateContainer"], container), nil
}
func (p *plugin) PostUpdateContainer(_ context.Context, pod *api.PodSandbox, container *api.Container) error {
	return p.react("PostUpdateContainer", pod, container, nil)
}
func (p *plugin) StopContainer(_ context.Context, pod *api.PodSandbox, container *api.Container) ([]*api.ContainerUpdate, error) {
	if err := p.react("StopContainer", pod, container, nil); err != nil {
		return nil, err
	}
	return updatesOf(p.behaviour.Update["StopContainer"], container), nil
}
func (p *plugin) RemoveContainer(_ context.Context, pod *api.PodSandbox, container *api.Container) error {
	return p.react("RemoveContainer", pod, container, nil)
}

func (p *plugin) ValidateContainerAdjustment(_ context.Context, request *api.ValidateContainerAdjustmentRequest) error {
	if err := p.react("ValidateContainerAdjustment", request.Pod, request.Container, text(request)); err != nil {
		return err
	}
	if p.behaviour.Reject != "" {
		return errors.New(p.behaviour.Reject)
	}
	return nil
}

// end ends the process when the connection has ended, whoever sees that first.
func (p *plugin) end() {
	p.ending.Do(func() {
		p.print("closed", nil, nil, nil)
		os.Exit(0)
	})
}

// obey takes orders until standard input ends: `update JSON` calls UpdateContainers.
func (p *plugin) obey() {
	scanner := bufio.NewScanner(os.Stdin)
	for scanner.Scan() {
		order, argument, _ := strings.Cut(scanner.Text(), " ")
		if order != "update" {
			p.print("no such order: "+order, nil, nil, nil)
			continue
		}
		failed, err := p.stub.UpdateContainers(updatesOf([]json.RawMessage{json.RawMessage(argument)}, nil))
		p.print("updated", nil, nil, map[string]any{"failed": len(failed), "error": fmt.Sprint(err)})
	}
}

func main() {
	socket := flag.String("socket", "", "where the runtime listens")
	name := flag.String("name", "", "name to register")
	index := flag.String("index", "", "index to register")
	config := flag.String("behaviour", "", "what to do, as JSON")
	old := flag.Bool("old", false, "answer as plugins did before notifications had methods of their own")
	flag.Parse()
	p := &plugin{out: os.Stdout}
	if err := p.adopt(*config); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	if *old {
		if err := runOld(p, *socket, *name, *index); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	options := []stub.Option{stub.WithOnClose(func() {
		if p.isConfigured.Load() { // otherwise what Run returns says more
			p.end()
		}
	})}
	if *socket != "" {
		options = append(options, stub.WithSocketPath(*socket), stub.WithPluginName(*name), stub.WithPluginIdx(*index))
		go p.obey()
	}
	if p.behaviour.FailRequest || p.behaviour.KeepConnected {
		options = append(options, stub.WithFailurePolicy(&api.FailurePolicy{
			FailRequest: p.behaviour.FailRequest, KeepConnected: p.behaviour.KeepConnected,
		}))
	}
	var err error
	if p.stub, err = stub.New(p, options...); err == nil {
		err = p.stub.Run(context.Background())
	}
	if p.isConfigured.Load() {
		p.end()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
