// Running a coroutine to its end from a test.
#pragma once

#include <chrono>
#include <exception>
#include <optional>
#include <thread>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

namespace lambda::support {

// Long enough for a loaded machine: a test that meets it has hung.
inline constexpr std::chrono::seconds patience{60};

/// Waits until `condition` holds, which another thread brings about; false when that takes too long.
template <class Condition>
bool eventually(Condition condition) {
  const auto end = std::chrono::steady_clock::now() + patience;
  while (!condition() && std::chrono::steady_clock::now() < end)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  return condition();
}

/// Runs `io` until the coroutine has ended, and gives its result; fails the test when that takes too long.
template <class T>
T run(boost::asio::io_context& io, boost::asio::awaitable<T> coroutine) {
  std::optional<T> result;
  boost::asio::co_spawn(io, std::move(coroutine), [&](const std::exception_ptr& error, T value) {
    if (error) std::rethrow_exception(error);
    result = std::move(value);
  });
  io.restart();
  const auto end = std::chrono::steady_clock::now() + patience;
  while (!result && std::chrono::steady_clock::now() < end) io.run_one_until(end);
  if (!result) throw std::runtime_error("the coroutine did not end");
  return std::move(*result);
}

/// Runs `io` until `condition` holds.
template <class Condition>
void run_until(boost::asio::io_context& io, Condition condition) {
  io.restart();
  const auto end = std::chrono::steady_clock::now() + patience;
  while (!condition() && std::chrono::steady_clock::now() < end) {
    io.run_one_for(std::chrono::milliseconds(10));
    if (io.stopped()) io.restart();
  }
  ASSERT_TRUE(condition()) << "this did not come about";
}

}  // namespace lambda::support
