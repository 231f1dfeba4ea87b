// The source controller as released, but for its probe.
package main

import (
	"context"

	"k8s.io/client-go/tools/cache"
	sources "knative.dev/eventing-rabbitmq/pkg/client/injection/informers/sources/v1alpha1/rabbitmqsource"
	rabbitmq "knative.dev/eventing-rabbitmq/pkg/reconciler/source"
	"knative.dev/pkg/injection/sharedmain"
	"knative.dev/pkg/signals"

	"knative-lambda/hack/tools/knative/probe"
)

func main() {
	ctx := sharedmain.WithHealthProbesDisabled(signals.NewContext())
	informer := func(ctx context.Context) cache.SharedIndexInformer { return sources.Get(ctx).Informer() }
	sharedmain.MainWithContext(ctx, "rabbitmq-controller", probe.With(rabbitmq.NewController, informer))
}
