package main

import (
	"context"
	"net"

	"github.com/containerd/nri/pkg/api"
	"github.com/containerd/nri/pkg/net/multiplex"
	"github.com/containerd/ttrpc"
)

// runOld serves what plugins served before each notification had a method of its own.
func runOld(p *plugin, socket, name, index string) error {
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return err
	}
	mux := multiplex.Multiplex(conn)
	listener, err := mux.Listen(multiplex.PluginServiceConn)
	if err != nil {
		return err
	}
	server, err := ttrpc.NewServer()
	if err != nil {
		return err
	}
	server.RegisterService("nri.pkg.api.v1alpha1.Plugin", &ttrpc.ServiceDesc{Methods: map[string]ttrpc.Method{
		"Configure": func(_ context.Context, unmarshal func(any) error) (any, error) {
			var request api.ConfigureRequest
			if err := unmarshal(&request); err != nil {
				return nil, err
			}
			return &api.ConfigureResponse{}, nil
		},
		"Synchronize": func(_ context.Context, unmarshal func(any) error) (any, error) {
			var request api.SynchronizeRequest
			if err := unmarshal(&request); err != nil {
				return nil, err
			}
			p.print("Synchronize", nil, nil, nil)
			return &api.SynchronizeResponse{}, nil
		},
		"CreateContainer":  func(context.Context, func(any) error) (any, error) { return &api.CreateContainerResponse{}, nil },
		"UpdateContainer":  func(context.Context, func(any) error) (any, error) { return &api.UpdateContainerResponse{}, nil },
		"StopContainer":    func(context.Context, func(any) error) (any, error) { return &api.StopContainerResponse{}, nil },
		"UpdatePodSandbox": func(context.Context, func(any) error) (any, error) { return &api.UpdatePodSandboxResponse{}, nil },
		"ValidateContainerAdjustment": func(context.Context, func(any) error) (any, error) {
			return &api.ValidateContainerAdjustmentResponse{}, nil
		},
		"StateChange": func(_ context.Context, unmarshal func(any) error) (any, error) {
			var event api.StateChangeEvent
			if err := unmarshal(&event); err != nil {
				return nil, err
			}
			p.print("StateChange "+event.Event.PrettyName(), event.Pod, event.Container, nil)
			return &api.Empty{}, nil
		},
	}})
	served := make(chan error, 1)
	go func() { served <- server.Serve(context.Background(), listener) }()
	clientConn, err := mux.Open(multiplex.RuntimeServiceConn)
	if err != nil {
		return err
	}
	client := api.NewRuntimeClient(ttrpc.NewClient(clientConn))
	_, err = client.RegisterPlugin(context.Background(), &api.RegisterPluginRequest{PluginName: name, PluginIdx: index})
	if err != nil {
		return err
	}
	return <-served
}
