// Package probe answers on a port of 127.0.0.1 that can be chosen. The controllers' own probes would
// take port 8080 of the whole machine.
package probe

import (
	"context"
	"log"
	"net"
	"net/http"
	"os"

	"k8s.io/client-go/tools/cache"
	"knative.dev/pkg/configmap"
	"knative.dev/pkg/controller"
	"knative.dev/pkg/injection"
)

// With returns the constructor with a probe beside its controller: 200 to any request as soon as the
// informer has seen all objects. The port is the environment's PROBE_PORT.
func With(constructor injection.ControllerConstructor,
	informer func(context.Context) cache.SharedIndexInformer) injection.ControllerConstructor {
	return func(ctx context.Context, watcher configmap.Watcher) *controller.Impl {
		go serve(ctx, informer(ctx))
		return constructor(ctx, watcher)
	}
}

func serve(ctx context.Context, informer cache.SharedIndexInformer) {
	if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		return
	}
	address := net.JoinHostPort("127.0.0.1", os.Getenv("PROBE_PORT"))
	log.Fatal(http.ListenAndServe(address, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
}
