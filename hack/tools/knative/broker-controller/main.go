// The broker controller as released, but for its probe.
package main

import (
	"context"

	"k8s.io/client-go/tools/cache"
	"knative.dev/eventing-rabbitmq/pkg/reconciler/broker"
	"knative.dev/eventing-rabbitmq/pkg/reconciler/trigger"
	triggers "knative.dev/eventing/pkg/client/injection/informers/eventing/v1/trigger"
	"knative.dev/pkg/injection/sharedmain"
	"knative.dev/pkg/signals"

	"knative-lambda/hack/tools/knative/probe"
)

func main() {
	ctx := sharedmain.WithHealthProbesDisabled(signals.NewContext())
	informer := func(ctx context.Context) cache.SharedIndexInformer { return triggers.Get(ctx).Informer() }
	sharedmain.MainWithContext(ctx, broker.ComponentName,
		broker.NewController, probe.With(trigger.NewController, informer))
}
