package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
)

const (
	namespace   = "knative-lambda-builds"
	kanikoImage = "ghcr.io/osscontainertools/kaniko:v1.28.3"
	prefix      = "lambda.notifi.network/"
)

type job struct {
	APIVersion string   `json:"apiVersion"`
	Kind       string   `json:"kind"`
	Metadata   metadata `json:"metadata"`
	Spec       jobSpec  `json:"spec"`
}

type metadata struct {
	Name        string            `json:"name,omitempty"`
	Namespace   string            `json:"namespace,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

type jobSpec struct {
	BackoffLimit            int      `json:"backoffLimit"`
	ActiveDeadlineSeconds   int      `json:"activeDeadlineSeconds"`
	TTLSecondsAfterFinished int      `json:"ttlSecondsAfterFinished"`
	Template                template `json:"template"`
}

type template struct {
	Metadata metadata `json:"metadata"`
	Spec     podSpec  `json:"spec"`
}

type podSpec struct {
	RestartPolicy                string      `json:"restartPolicy"`
	AutomountServiceAccountToken bool        `json:"automountServiceAccountToken"`
	EnableServiceLinks           bool        `json:"enableServiceLinks"`
	SecurityContext              podSecurity `json:"securityContext"`
	Containers                   []container `json:"containers"`
}

type podSecurity struct {
	SeccompProfile struct {
		Type string `json:"type"`
	} `json:"seccompProfile"`
}

type container struct {
	Name                     string            `json:"name"`
	Image                    string            `json:"image"`
	Args                     []string          `json:"args"`
	SecurityContext          containerSecurity `json:"securityContext"`
	TerminationMessagePolicy string            `json:"terminationMessagePolicy"`
}

type containerSecurity struct {
	RunAsUser    int          `json:"runAsUser"`
	Capabilities capabilities `json:"capabilities"`
}

type capabilities struct {
	Drop []string `json:"drop"`
	Add  []string `json:"add"`
}

// eventHash is the SHA-256, cut to half, of the source and the id, each preceded by its length.
func eventHash(source, id string) string {
	text := make([]byte, 0, 16+len(source)+len(id))
	for _, part := range []string{source, id} {
		text = binary.BigEndian.AppendUint64(text, uint64(len(part)))
		text = append(text, part...)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16])
}

func jobName(source, id string) string { return "kaniko-job-" + eventHash(source, id) }

func makeJob(event *cloudEvent, start *jobStart, name string) *job {
	labels := map[string]string{
		"app.kubernetes.io/name":       "kaniko-job",
		"app.kubernetes.io/managed-by": "knative-lambda-builder",
		"app.kubernetes.io/part-of":    "knative-lambda",
		prefix + "third-party-id":      start.ThirdPartyID,
		prefix + "parser-id":           start.ParserID,
		prefix + "runtime":             start.Parameters.Runtime,
	}
	made := &job{
		APIVersion: "batch/v1",
		Kind:       "Job",
		Metadata:   metadata{name, namespace, labels, annotations(event, start)},
		Spec:       jobSpec{0, start.Parameters.BuildTimeout, 3600, template{metadata{Labels: labels}, podSpec{}}},
	}
	made.Spec.Template.Spec = podSpec{
		RestartPolicy: "Never",
		Containers: []container{{
			Name:  "kaniko",
			Image: kanikoImage,
			Args:  arguments(start, strings.TrimPrefix(name, "kaniko-job-")),
			SecurityContext: containerSecurity{0, capabilities{
				[]string{"ALL"}, []string{"CHOWN", "DAC_OVERRIDE", "FOWNER", "SETUID", "SETGID", "SETFCAP", "KILL"}}},
			TerminationMessagePolicy: "File",
		}},
	}
	made.Spec.Template.Spec.SecurityContext.SeccompProfile.Type = "RuntimeDefault"
	return made
}

func annotations(event *cloudEvent, start *jobStart) map[string]string {
	whole, err := json.Marshal(event)
	if err != nil { // it was read as JSON
		panic(err)
	}
	found := map[string]string{
		prefix + "event-id":       event.ID,
		prefix + "event-source":   event.Source,
		prefix + "correlation-id": start.CorrelationID,
		prefix + "event":          string(whole),
	}
	optional := map[string]string{"event-time": event.Time, "job-name": start.JobName, "traceparent": event.TraceParent}
	for name, value := range optional {
		if value != "" {
			found[prefix+name] = value
		}
	}
	return found
}

func arguments(start *jobStart, hash string) []string {
	found := []string{"--context=" + start.context}
	if start.subPath != "" {
		found = append(found, "--context-sub-path="+start.subPath)
	}
	found = append(found, "--dockerfile=Dockerfile",
		"--destination=registry.local/"+start.ThirdPartyID+"/"+start.ParserID+":"+hash,
		"--digest-file=/dev/termination-log", "--log-format=text", "--push-retry=3", "--image-fs-extract-retry=3",
		"--image-download-retry=3")
	variables := make([]string, 0, len(start.Parameters.Environment))
	for name, value := range start.Parameters.Environment {
		variables = append(variables, "--build-arg="+name+"="+strings.ReplaceAll(value, "$", "$$"))
	}
	slices.Sort(variables)
	return append(found, variables...)
}

// A creator sends Jobs over connections that it keeps.
type creator struct {
	url    string
	client *http.Client
}

func newCreator(api string) *creator {
	return &creator{
		url: api + "/apis/batch/v1/namespaces/" + namespace + "/jobs?fieldValidation=Ignore",
		client: &http.Client{
			Timeout:   10 * time.Second,
			Transport: &http.Transport{MaxIdleConnsPerHost: 1024, DisableCompression: true},
		},
	}
}

func (c *creator) create(ctx context.Context, made *job) error {
	body, err := json.Marshal(made)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Accept", "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1")
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer bench")
	answer, err := c.client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	// A connection is kept only once its answer was read to the end.
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		return err
	}
	if answer.StatusCode/100 != 2 {
		return fmt.Errorf("the Kubernetes API answered %d", answer.StatusCode)
	}
	return nil
}
