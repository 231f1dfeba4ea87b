// Sends events with the CloudEvents SDK for Go.
//
//	send URL binary|structured|batch    with a list of events, attributes and data, as JSON on stdin
//
// Prints {"status", "body"} of the answer. binary and structured send the first event only.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"

	"github.com/cloudevents/sdk-go/v2/binding"
	"github.com/cloudevents/sdk-go/v2/event"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"
)

type described struct {
	ID, Source, Subject, Type string
	Data                      map[string]any
}

func main() {
	request, err := request(os.Args[1], os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		log.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		log.Fatal(err)
	}
	_ = json.NewEncoder(os.Stdout).Encode(map[string]any{"status": answer.StatusCode, "body": string(body)})
}

func request(url, mode string) (*http.Request, error) {
	events, err := read(os.Stdin)
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	switch mode {
	case "binary":
		return cehttp.NewHTTPRequestFromEvent(binding.WithForceBinary(ctx), url, events[0])
	case "structured":
		return cehttp.NewHTTPRequestFromEvent(binding.WithForceStructured(ctx), url, events[0])
	case "batch":
		return cehttp.NewHTTPRequestFromEvents(ctx, url, events)
	}
	return nil, fmt.Errorf("no such mode: %q", mode)
}

func read(from io.Reader) ([]event.Event, error) {
	var descriptions []described
	if err := json.NewDecoder(from).Decode(&descriptions); err != nil {
		return nil, err
	}
	var events []event.Event
	for _, one := range descriptions {
		made := event.New()
		made.SetID(one.ID)
		made.SetSource(one.Source)
		made.SetSubject(one.Subject)
		made.SetType(one.Type)
		if err := made.SetData(event.ApplicationJSON, one.Data); err != nil {
			return nil, err
		}
		events = append(events, made)
	}
	return events, nil
}
