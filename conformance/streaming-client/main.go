// Command streaming-client is the Kubernetes side of a streaming session, for tests: client-go's own exec and
// port-forward clients, over SPDY and over WebSocket, against one URL that a CRI runtime has returned.
//
//	streaming-client exec -url URL [-transport spdy|websocket] [-protocols a,b] [-stdin] [-stdout] [-stderr] [-tty] [-sizes 80x24,...]
//	streaming-client pump -url URL [-transport spdy|websocket] -bytes N
//	streaming-client forward -url URL [-transport spdy|websocket] -ports LOCAL:REMOTE,...
//
// exec copies its own standard streams and exits with the remote command's exit code, 125 for any other failure. pump sends
// N bytes to a command that must send them back, compares, and prints the rate. forward prints the forwarded addresses
// and runs until its standard input ends.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/httpstream"
	restclient "k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/client-go/util/exec"
)

const otherFailure = 125

// clientPair is what an https server asks for: a kubelet's API lets in certificates, a runtime's streaming server anyone.
var clientPair restclient.TLSClientConfig

func newConfig(target string) *restclient.Config {
	config := &restclient.Config{TLSClientConfig: clientPair}
	config.Insecure = strings.HasPrefix(target, "https:")
	return config
}

func main() {
	if len(os.Args) < 2 {
		fail(errors.New("usage: streaming-client exec|pump|forward -url URL ..."))
	}
	flags := flag.NewFlagSet(os.Args[1], flag.ExitOnError)
	target := flags.String("url", "", "URL returned by the runtime")
	transport := flags.String("transport", "spdy", "spdy or websocket")
	protocols := flags.String("protocols", "", "exec: protocol versions to offer, by default client-go's own")
	stdin := flags.Bool("stdin", false, "exec: send standard input")
	stdout := flags.Bool("stdout", true, "exec: receive standard output")
	stderr := flags.Bool("stderr", true, "exec: receive standard error")
	tty := flags.Bool("tty", false, "exec: the command has a terminal")
	sizes := flags.String("sizes", "", "exec: terminal sizes to send, WIDTHxHEIGHT,...")
	count := flags.Int64("bytes", 64<<20, "pump: bytes to send and expect back")
	ports := flags.String("ports", "", "forward: LOCAL:REMOTE,...")
	flags.StringVar(&clientPair.CertFile, "cert", "", "client certificate (PEM file) for https")
	flags.StringVar(&clientPair.KeyFile, "key", "", "key of -cert")
	_ = flags.Parse(os.Args[2:])

	var err error
	switch os.Args[1] {
	case "exec":
		options := remotecommand.StreamOptions{Tty: *tty}
		if *stdin {
			options.Stdin = os.Stdin
		}
		if *stdout {
			options.Stdout = os.Stdout
		}
		if *stderr && !*tty {
			options.Stderr = os.Stderr
		}
		if *sizes != "" {
			options.TerminalSizeQueue = parseSizes(*sizes)
		}
		err = runExec(*target, *transport, *protocols, options)
	case "pump":
		err = pump(*target, *transport, *protocols, *count)
	case "forward":
		err = forward(*target, *transport, strings.Split(*ports, ","))
	default:
		err = fmt.Errorf("unknown command %q", os.Args[1])
	}
	if err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	var exited exec.CodeExitError
	if errors.As(err, &exited) {
		os.Exit(exited.Code)
	}
	os.Exit(otherFailure)
}

func runExec(target, transport, protocols string, options remotecommand.StreamOptions) error {
	executor, err := newExecutor(target, transport, protocols)
	if err != nil {
		return err
	}
	return executor.StreamWithContext(context.Background(), options)
}

func newExecutor(target, transport, protocols string) (remotecommand.Executor, error) {
	config := newConfig(target)
	if transport == "websocket" {
		if protocols == "" {
			return remotecommand.NewWebSocketExecutor(config, "GET", target)
		}
		return remotecommand.NewWebSocketExecutorForProtocols(config, "GET", target, strings.Split(protocols, ",")...)
	}
	parsed, err := url.Parse(target)
	if err != nil {
		return nil, err
	}
	if protocols == "" {
		return remotecommand.NewSPDYExecutor(config, "POST", parsed)
	}
	tripper, upgrader, err := spdy.RoundTripperFor(config)
	if err != nil {
		return nil, err
	}
	return remotecommand.NewSPDYExecutorForProtocols(tripper, upgrader, "POST", parsed, strings.Split(protocols, ",")...)
}

// sizeQueue hands out sizes and then ends the resize stream, as a terminal does that is never resized again.
type sizeQueue struct{ sizes []remotecommand.TerminalSize }

func parseSizes(list string) *sizeQueue {
	queue := &sizeQueue{}
	for _, item := range strings.Split(list, ",") {
		var size remotecommand.TerminalSize
		if _, err := fmt.Sscanf(item, "%dx%d", &size.Width, &size.Height); err != nil {
			fail(err)
		}
		queue.sizes = append(queue.sizes, size)
	}
	return queue
}

func (q *sizeQueue) Next() *remotecommand.TerminalSize {
	if len(q.sizes) == 0 {
		return nil
	}
	size := q.sizes[0]
	q.sizes = q.sizes[1:]
	return &size
}

// pattern is a stream of bytes that does not repeat at the sizes in which transports cut their data.
type pattern struct {
	block []byte
	at    int
	left  int64
}

func newPattern(count int64) *pattern {
	block := make([]byte, 1<<20+13)
	rand.New(rand.NewSource(1)).Read(block)
	return &pattern{block: block, left: count}
}

func (p *pattern) next(limit int) []byte {
	size := min(int64(limit), p.left, int64(len(p.block)-p.at))
	piece := p.block[p.at : p.at+int(size)]
	p.at = (p.at + int(size)) % len(p.block)
	p.left -= size
	return piece
}

func (p *pattern) Read(into []byte) (int, error) {
	if p.left == 0 {
		return 0, io.EOF
	}
	return copy(into, p.next(len(into))), nil
}

// Write compares what came back.
func (p *pattern) Write(data []byte) (int, error) {
	for checked := 0; checked < len(data); {
		want := p.next(len(data) - checked)
		if len(want) == 0 {
			return checked, errors.New("more bytes came back than were sent")
		}
		if !bytes.Equal(want, data[checked:checked+len(want)]) {
			return checked, fmt.Errorf("bytes differ, %d before the end", p.left)
		}
		checked += len(want)
	}
	return len(data), nil
}

func pump(target, transport, protocols string, count int64) error {
	received := newPattern(count)
	started := time.Now()
	options := remotecommand.StreamOptions{Stdin: newPattern(count), Stdout: received}
	if err := runExec(target, transport, protocols, options); err != nil {
		return err
	}
	if received.left != 0 {
		return fmt.Errorf("%d of %d bytes did not come back", received.left, count)
	}
	seconds := time.Since(started).Seconds()
	fmt.Printf("%d bytes each way in %.2f s, %.0f MB/s\n", count, seconds, float64(count)/seconds/1e6)
	return nil
}

func forward(target, transport string, ports []string) error {
	dialer, err := newDialer(target, transport)
	if err != nil {
		return err
	}
	stop := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(stop)
	}()
	forwarder, err := portforward.NewOnAddresses(dialer, []string{"127.0.0.1"}, ports, stop, make(chan struct{}), os.Stdout, os.Stderr)
	if err != nil {
		return err
	}
	return forwarder.ForwardPorts()
}

func newDialer(target, transport string) (httpstream.Dialer, error) {
	parsed, err := url.Parse(target)
	if err != nil {
		return nil, err
	}
	config := newConfig(target)
	if transport == "websocket" {
		return portforward.NewSPDYOverWebsocketDialer(parsed, config)
	}
	tripper, upgrader, err := spdy.RoundTripperFor(config)
	if err != nil {
		return nil, err
	}
	return spdy.NewDialer(upgrader, &http.Client{Transport: tripper}, "POST", parsed), nil
}
