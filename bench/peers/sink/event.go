package main

import (
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	jobStartType      = "network.notifi.lambda.job.start"
	idMaxBytes        = 256
	attributeMaxBytes = 1024
	variablesMax      = 64
	variablesMaxBytes = 32 << 10
	timeoutDefault    = 30 * 60
	timeoutMax        = 2 * 60 * 60
	allowedSource     = "github.com/notifi"
)

type fieldError struct {
	name    string
	message string
}

func (e *fieldError) Error() string { return strings.TrimPrefix(e.name+": "+e.message, ": ") }

func wrong(name, format string, values ...any) error {
	return &fieldError{name, fmt.Sprintf(format, values...)}
}

// A CloudEvent 1.0 whose data is JSON.
type cloudEvent struct {
	SpecVersion     string          `json:"specversion"`
	ID              string          `json:"id"`
	Source          string          `json:"source"`
	Type            string          `json:"type"`
	Subject         string          `json:"subject,omitempty"`
	Time            string          `json:"time,omitempty"`
	DataContentType string          `json:"datacontenttype,omitempty"`
	DataSchema      string          `json:"dataschema,omitempty"`
	TraceParent     string          `json:"traceparent,omitempty"`
	Data            json.RawMessage `json:"data,omitempty"`
}

// decodeEvent reads the structured or the binary mode of the HTTP binding.
func decodeEvent(header http.Header, body []byte) (*cloudEvent, error) {
	kind, _, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil {
		return nil, wrong("content-type", "%v", err)
	}
	event := &cloudEvent{}
	switch {
	case kind == "application/cloudevents+json":
		if !utf8.Valid(body) {
			return nil, wrong("", "the body is no UTF-8")
		}
		if err := json.Unmarshal(body, event); err != nil {
			return nil, wrong("", "%v", err)
		}
	case strings.HasPrefix(kind, "application/cloudevents"):
		return nil, wrong("content-type", "%q is not supported", kind)
	default:
		*event = cloudEvent{
			SpecVersion: header.Get("ce-specversion"), ID: header.Get("ce-id"), Source: header.Get("ce-source"),
			Type: header.Get("ce-type"), Subject: header.Get("ce-subject"), Time: header.Get("ce-time"),
			TraceParent: header.Get("ce-traceparent"), DataContentType: kind, Data: body,
		}
	}
	return event, checkEvent(event)
}

func checkEvent(event *cloudEvent) error {
	if event.SpecVersion != "1.0" {
		return wrong("specversion", "%q is not supported", event.SpecVersion)
	}
	required := []struct{ name, value string }{{"id", event.ID}, {"source", event.Source}, {"type", event.Type}}
	for _, attribute := range required {
		if attribute.value == "" || len(attribute.value) > attributeMaxBytes {
			return wrong(attribute.name, "is missing or too long")
		}
		if strings.ContainsFunc(attribute.value, isControl) {
			return wrong(attribute.name, "has control characters")
		}
	}
	if _, err := url.Parse(event.Source); err != nil {
		return wrong("source", "%v", err)
	}
	if event.Time != "" {
		if _, err := time.Parse(time.RFC3339, event.Time); err != nil {
			return wrong("time", "%v", err)
		}
	}
	return nil
}

func isControl(r rune) bool { return r < 0x20 || r >= 0x7f && r < 0xa0 }

// The data of a job.start event.
type jobStart struct {
	ThirdPartyID  string     `json:"third_party_id"`
	ParserID      string     `json:"parser_id"`
	CorrelationID string     `json:"correlation_id"`
	JobName       string     `json:"job_name"`
	Priority      *int       `json:"priority"`
	Parameters    parameters `json:"parameters"`

	context string
	subPath string
}

type parameters struct {
	Priority     *int              `json:"priority"`
	BuildType    string            `json:"build_type"`
	Runtime      string            `json:"runtime"`
	SourceURL    string            `json:"source_url"`
	BuildTimeout int               `json:"build_timeout"`
	Environment  map[string]string `json:"environment"`
}

var (
	variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	labelValue   = regexp.MustCompile(`^([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?$`)
)

func parseJobStart(event *cloudEvent) (*jobStart, error) {
	if event.Type != jobStartType {
		return nil, wrong("type", "%q is not taken here", event.Type)
	}
	start := &jobStart{}
	if err := json.Unmarshal(event.Data, start); err != nil {
		return nil, wrong("data", "%v", err)
	}
	if start.CorrelationID == "" {
		start.CorrelationID = event.ID
	}
	if start.Parameters.BuildTimeout == 0 {
		start.Parameters.BuildTimeout = timeoutDefault
	}
	return start, checkJobStart(start)
}

func checkJobStart(start *jobStart) error {
	for name, id := range map[string]string{"third_party_id": start.ThirdPartyID, "parser_id": start.ParserID} {
		if id == "" || len(id) > idMaxBytes || strings.ContainsFunc(id, isControl) {
			return wrong("data."+name, "1 to %d bytes without control characters are accepted", idMaxBytes)
		}
	}
	for _, priority := range []*int{start.Priority, start.Parameters.Priority} {
		if priority != nil && (*priority < 0 || *priority > 10) {
			return wrong("data.priority", "%d is not 0 to 10", *priority)
		}
	}
	if kind := start.Parameters.BuildType; kind != "" && kind != "container" {
		return wrong("data.parameters.build_type", "%q is not supported", kind)
	}
	if !labelValue.MatchString(start.Parameters.Runtime) {
		return wrong("data.parameters.runtime", "%q is no label value", start.Parameters.Runtime)
	}
	if seconds := start.Parameters.BuildTimeout; seconds < 1 || seconds > timeoutMax {
		return wrong("data.parameters.build_timeout", "%d is not 1 to %d", seconds, timeoutMax)
	}
	if err := checkEnvironment(start.Parameters.Environment); err != nil {
		return err
	}
	return start.readSource()
}

func checkEnvironment(environment map[string]string) error {
	const field = "data.parameters.environment"
	if len(environment) > variablesMax {
		return wrong(field, "more than %d variables", variablesMax)
	}
	size := 0
	for name, value := range environment {
		if !variableName.MatchString(name) || strings.HasSuffix(strings.ToUpper(name), "_PROXY") {
			return wrong(field, "%q is no name that is accepted", name)
		}
		if strings.ContainsRune(value, 0) {
			return wrong(field, "%q holds a NUL", name)
		}
		size += len(name) + len(value)
	}
	if size > variablesMaxBytes {
		return wrong(field, "more than %d bytes", variablesMaxBytes)
	}
	return nil
}

// readSource splits the URL as the builder does for github.com: host/owner/repository/folder….
func (start *jobStart) readSource() error {
	const field = "data.parameters.source_url"
	source, err := url.Parse(start.Parameters.SourceURL)
	if err != nil {
		return wrong(field, "%v", err)
	}
	if source.Scheme != "https" || source.User != nil || source.RawQuery != "" {
		return wrong(field, "only https:// without user and query is accepted")
	}
	place := strings.ToLower(source.Host) + source.EscapedPath()
	if place != allowedSource && !strings.HasPrefix(place, allowedSource+"/") {
		return wrong(field, "%q is not among the allowed sources", place)
	}
	segments := strings.Split(strings.Trim(source.EscapedPath(), "/"), "/")
	if len(segments) < 2 {
		return wrong(field, "names no repository")
	}
	for _, segment := range segments {
		if segment == "" || segment == "." || segment == ".." || strings.Contains(segment, "%") {
			return wrong(field, "%q is no segment that is accepted", segment)
		}
	}
	start.context = "git://" + source.Host + "/" + segments[0] + "/" + segments[1]
	if source.Fragment != "" {
		start.context += "#refs/heads/" + source.Fragment
	}
	start.subPath = strings.Join(segments[2:], "/")
	return nil
}
