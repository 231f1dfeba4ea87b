// The source's receive adapter as released, but without probes, which nobody asks here: they would take
// port 8080 of the whole machine.
package main

import (
	"knative.dev/eventing/pkg/adapter/v2"
	"knative.dev/pkg/injection"
	"knative.dev/pkg/signals"

	rabbitmq "knative.dev/eventing-rabbitmq/pkg/adapter"
)

func main() {
	ctx := adapter.WithHealthProbesDisabled(signals.NewContext())
	ctx, _ = injection.Default.SetupInformers(ctx, injection.ParseAndGetRESTConfigOrDie())
	adapter.MainWithContext(ctx, "rabbitmqsource", rabbitmq.NewEnvConfig, rabbitmq.NewAdapter)
}
