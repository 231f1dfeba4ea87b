// A sink in Go's net/http that does what the builder's does, to compare with.
module knative-lambda/bench/peers/sink

go 1.25
