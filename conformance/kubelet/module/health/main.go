// A server for probes, in the place of agnhost's sub-command of the same name: the gRPC health protocol on --port,
// plain HTTP on --http-port whose GET /healthz says the same and whose GET /make-unhealthy ends both.
package main

import (
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
)

func main() {
	if len(os.Args) < 2 || os.Args[1] != "grpc-health-checking" {
		log.Fatalf("usage: %s grpc-health-checking [--port N] [--http-port N]", os.Args[0])
	}
	flags := flag.NewFlagSet(os.Args[1], flag.ExitOnError)
	port := flags.Int("port", 5000, "port of the gRPC service")
	httpPort := flags.Int("http-port", 8080, "port of the HTTP service")
	service := flags.String("service", "", "name of the service whose health is served beside the server's own")
	_ = flags.Parse(os.Args[2:])

	state := health.NewServer()
	setStatus := func(status healthpb.HealthCheckResponse_ServingStatus) {
		state.SetServingStatus("", status)
		if *service != "" {
			state.SetServingStatus(*service, status)
		}
	}
	setStatus(healthpb.HealthCheckResponse_SERVING)
	isHealthy := true
	http.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) {
		if !isHealthy {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		fmt.Fprintln(w, "healthy:", isHealthy)
	})
	http.HandleFunc("/make-unhealthy", func(w http.ResponseWriter, _ *http.Request) {
		isHealthy = false
		setStatus(healthpb.HealthCheckResponse_NOT_SERVING)
		fmt.Fprintln(w, "unhealthy from now on")
	})
	go func() { log.Fatal(http.ListenAndServe(fmt.Sprintf(":%d", *httpPort), nil)) }()

	listener, err := net.Listen("tcp", fmt.Sprintf(":%d", *port))
	if err != nil {
		log.Fatal(err)
	}
	server := grpc.NewServer()
	healthpb.RegisterHealthServer(server, state)
	log.Printf("serving gRPC on %d and HTTP on %d", *port, *httpPort)
	log.Fatal(server.Serve(listener))
}
