// Poses as a Kubernetes API server that accepts every Job at once: what is left to measure is the builder.
//
//   bench-imposter PORT_FILE
//
// Serves plain HTTP on a port of 127.0.0.1 that it writes to PORT_FILE, until SIGTERM.

#include <cstdio>
#include <fstream>
#include <string>

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>

#include "http/server.h"

namespace {

namespace asio = boost::asio;
using namespace lambda;

// As long as what the API server answers to a create that asks for metadata only.
constexpr std::size_t answer_bytes = 2800;

std::string metadata_of_a_job() {
  const std::string head =
      R"({"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":{"name":"imposter",)"
      R"("namespace":"imposter","uid":"00000000-0000-0000-0000-000000000000","resourceVersion":"1",)"
      R"("annotations":{"bench":")";
  const std::string tail = R"("}}})";
  return head + std::string(answer_bytes - head.size() - tail.size(), 'x') + tail;
}

http::Response answer(const http::Request& request) {
  static const std::string created = metadata_of_a_job();
  http::Response response;
  response.status = request.method == "POST" ? 201 : 404;
  response.body = request.method == "POST" ? created : R"({"kind":"Status","code":404})";
  return response;
}

}  // namespace

int main(int argc, char* argv[]) {
  if (argc != 2) {
    std::fputs("usage: bench-imposter PORT_FILE\n", stderr);
    return 2;
  }
  asio::io_context io{1};
  http::Server server(io.get_executor(), http::Limits{}, http::immediate(answer));
  const auto port = server.listen("127.0.0.1", 0);
  if (!port) {
    std::fprintf(stderr, "bench-imposter: %s\n", port.error().message.c_str());
    return 1;
  }
  std::ofstream(argv[1]) << *port << '\n';
  asio::signal_set signals(io, SIGTERM, SIGINT);
  signals.async_wait([&io](const boost::system::error_code&, int) { io.stop(); });
  io.run();
  return 0;
}
