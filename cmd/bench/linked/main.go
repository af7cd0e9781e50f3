// Command linked is the gateway with its adapters linked into the program, so that bench can
// measure what the sandbox costs. It accepts the arguments of "kai serve" that bench uses,
// serves until it is ended, and does not follow changes of its files.
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/kai-gateway/kai/cmd/internal/logline"
	"github.com/kai-gateway/kai/cmd/internal/logqueue"
	"github.com/kai-gateway/kai/cmd/internal/pace"
	"github.com/kai-gateway/kai/host"
	"github.com/kai-gateway/kai/host/live"
	"github.com/kai-gateway/kai/plugins"
)

func main() {
	if err := serve(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "linked: %v\n", err)
		os.Exit(1)
	}
}

func serve(ctx context.Context, args []string) error {
	f := flag.NewFlagSet("serve", flag.ContinueOnError)
	file := f.String("config", "", "the configuration")
	hostname := f.String("host", "127.0.0.1", "the address to serve")
	port := f.Int("port", 0, "the port; 0 is any that is free")
	if len(args) > 0 && args[0] == "serve" {
		args = args[1:]
	}
	if err := f.Parse(args); err != nil {
		return err
	}
	files := live.NewFiles(live.Source{
		File: func() string { return *file }, Shipped: plugins.Names(), Module: plugins.Module,
	})
	c, err := files.Config()
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", net.JoinHostPort(*hostname, strconv.Itoa(*port)))
	if err != nil {
		return err
	}
	queue := logqueue.New(os.Stderr, func(lines int) []byte { return fmt.Appendf(nil, "{\"missing\":%d}\n", lines) })
	defer queue.Close(time.Second)
	log := slog.New(queue.Handler(logline.New(queue, slog.LevelInfo)))
	pace.Collector(16 << 20)
	h, err := host.New(host.Options{Config: c, Module: files.Module, Adapter: adapter, Logger: log})
	if err != nil {
		l.Close()
		return err
	}
	defer h.Close()
	log.Info("serving", "url", "http://"+l.Addr().String()+"/v1")
	return h.Serve(ctx, l)
}
