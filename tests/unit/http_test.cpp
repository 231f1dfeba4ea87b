#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "http/message.h"
#include "http/router.h"

namespace lambda::http {
namespace {

namespace asio = boost::asio;
using testing::HasSubstr;

Response ask(const Router& router, const std::string& method, const std::string& path) {
  asio::io_context io;
  Response response;
  asio::co_spawn(io, router.handle(Request{method, path, "", {}, ""}),
                 [&](const std::exception_ptr&, Response answer) { response = std::move(answer); });
  io.run();
  return response;
}

Router one_route() {
  Router router;
  router.add("GET", "/here",
             immediate([](const Request&) { return Response{200, "text/plain", "body", {}}; }));
  router.add("POST", "/here", immediate([](const Request&) { return Response{201, "", "", {}}; }));
  return router;
}

TEST(Headers, AreFoundWithoutRegardToCase) {
  const Headers headers{{"Content-Type", "a"}, {"content-type", "b"}};
  EXPECT_EQ(find_header(headers, "CONTENT-TYPE"), "a");
  EXPECT_EQ(find_header(headers, "ce-id"), "");
}

TEST(ErrorResponse, SaysTypeMessageFieldAndWhenToComeBack) {
  const Response response =
      error_response(503, {base::ErrorKind::unavailable, "full", "queue", std::chrono::seconds(7)}, "c-1");
  const auto body = nlohmann::json::parse(response.body);
  EXPECT_EQ(body["status"], "error");
  EXPECT_EQ(body["error"]["type"], "unavailable");
  EXPECT_EQ(body["error"]["message"], "full");
  EXPECT_EQ(body["error"]["field"], "queue");
  EXPECT_EQ(body["correlation_id"], "c-1");
  EXPECT_EQ(find_header(response.headers, "Retry-After"), "7");
}

TEST(ErrorResponse, EveryServiceUnavailableHasARetryAfter) {
  EXPECT_EQ(find_header(error_response(503, {base::ErrorKind::unavailable, "", ""}).headers, "retry-after"),
            "1");
  EXPECT_EQ(find_header(error_response(400, {base::ErrorKind::invalid, "", ""}).headers, "retry-after"), "");
}

TEST(ErrorResponse, BytesThatAreNoTextAreReplaced) {
  EXPECT_NO_THROW(error_response(400, {base::ErrorKind::invalid, "\xFF", "\xFE"}, "\xFD"));
}

TEST(Router, AnswersByMethodAndPath) {
  const Router router = one_route();
  EXPECT_EQ(ask(router, "GET", "/here").body, "body");
  EXPECT_EQ(ask(router, "POST", "/here").status, 201U);
  EXPECT_EQ(ask(router, "HEAD", "/here").status, 200U);
}

TEST(Router, SaysWhatIsServed) {
  const Router router = one_route();
  const Response wrong_path = ask(router, "GET", "/there");
  EXPECT_EQ(wrong_path.status, 404U);
  EXPECT_THAT(wrong_path.body, HasSubstr("/here"));
  const Response wrong_method = ask(router, "PUT", "/here");
  EXPECT_EQ(wrong_method.status, 405U);
  EXPECT_EQ(find_header(wrong_method.headers, "Allow"), "GET, POST");
}

}  // namespace
}  // namespace lambda::http
