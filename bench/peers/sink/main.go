// A CloudEvents sink as one would write it in Go with net/http: takes the events that knative-lambda-builder takes,
// checks them as it does, and creates the same Job, or only answers.
//
//	sink -port-file FILE [-api URL] [-log]
//
// Without -api nothing is created: what is left is reading, checking and answering.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

const (
	bodyMaxBytes   = 1 << 20
	headerMaxBytes = 16 << 10
	requestTimeout = 25 * time.Second
)

type sink struct {
	creator *creator // nil: nothing is created
	log     *slog.Logger
}

type queued struct {
	Status        string `json:"status"`
	JobName       string `json:"job_name"`
	Namespace     string `json:"namespace"`
	CorrelationID string `json:"correlation_id"`
	Duplicate     bool   `json:"duplicate"`
	Timestamp     string `json:"timestamp"`
}

type refused struct {
	Status string      `json:"status"`
	Error  refusedWhat `json:"error"`
}

type refusedWhat struct {
	Type    string `json:"type"`
	Message string `json:"message"`
	Field   string `json:"field,omitempty"`
}

func main() {
	portFile := flag.String("port-file", "", "where the port is written")
	api := flag.String("api", "", "URL of the API server; none: create nothing")
	withLog := flag.Bool("log", false, "a line on stderr for each event")
	flag.Parse()
	if err := run(*portFile, *api, *withLog); err != nil {
		fmt.Fprintln(os.Stderr, "sink:", err)
		os.Exit(1)
	}
}

func run(portFile, api string, withLog bool) error {
	s := &sink{log: slog.New(slog.DiscardHandler)}
	if withLog {
		s.log = slog.New(slog.NewJSONHandler(os.Stderr, nil))
	}
	if api != "" {
		s.creator = newCreator(api)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /{$}", s.receive)
	mux.HandleFunc("POST /events", s.receive)
	server := &http.Server{
		Handler:           mux,
		MaxHeaderBytes:    headerMaxBytes,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		IdleTimeout:       60 * time.Second,
	}
	port := listener.Addr().(*net.TCPAddr).Port
	if err := os.WriteFile(portFile, fmt.Appendln(nil, port), 0o644); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	go func() {
		<-ctx.Done()
		server.Close()
	}()
	if err := server.Serve(listener); err != http.ErrServerClosed {
		return err
	}
	return nil
}

func (s *sink) receive(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, bodyMaxBytes))
	if err != nil {
		refuse(w, http.StatusRequestEntityTooLarge, &fieldError{"", "the body is too large"})
		return
	}
	event, err := decodeEvent(r.Header, body)
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	start, err := parseJobStart(event)
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	name := jobName(event.Source, event.ID)
	if s.creator != nil {
		ctx, cancel := context.WithTimeout(r.Context(), requestTimeout)
		defer cancel()
		if err := s.creator.create(ctx, makeJob(event, start, name)); err != nil {
			w.Header().Set("Retry-After", "1")
			refuse(w, http.StatusServiceUnavailable, err)
			return
		}
	}
	s.log.Info("event accepted", "event_id", event.ID, "correlation_id", start.CorrelationID,
		"third_party_id", start.ThirdPartyID, "job_name", name, "outcome", "created")
	answer(w, http.StatusAccepted, queued{"queued", name, namespace, start.CorrelationID, false,
		time.Now().UTC().Format(time.RFC3339)})
}

func refuse(w http.ResponseWriter, status int, err error) {
	what := refusedWhat{Type: strings.ToLower(http.StatusText(status)), Message: err.Error()}
	if field, is := err.(*fieldError); is {
		what.Field = field.name
	}
	answer(w, status, refused{"error", what})
}

func answer(w http.ResponseWriter, status int, value any) {
	body, err := json.Marshal(value)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(body)
}
