// What the sanitizers cannot know of cpprestsdk, whose library is not instrumented. Linked only into the
// tests that use it, so that nothing of ours is hidden elsewhere.
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define LAMBDA_LEAK_CHECK
#endif
#endif

#ifdef LAMBDA_LEAK_CHECK
#include <gtest/gtest.h>
#include <sanitizer/lsan_interface.h>

namespace {

// OpenSSL keeps an error state for each thread. The library's own threads end after OpenSSL has, so at the
// process's end theirs look lost; while these threads live, they are not.
class LeakCheck : public testing::Environment {
 public:
  void TearDown() override { __lsan_do_leak_check(); }
};

[[maybe_unused]] const testing::Environment* const leak_check = testing::AddGlobalTestEnvironment(
    new LeakCheck);  // NOLINT(cppcoreguidelines-owning-memory): gtest's then

}  // namespace
#endif

// The sanitizers call it by name: https://github.com/google/sanitizers/wiki/ThreadSanitizerSuppressions
// NOLINTBEGIN(bugprone-reserved-identifier): the name is theirs.
extern "C" {

// The counters by which its tasks pass from thread to thread are not seen, so the end of a task looks like a
// race with its use. Boost.Asio's inline functions are shared between its library and our code.
const char* __tsan_default_suppressions() {
  return "race:libcpprest.so\n"
         "race:pplx\n"
         "race:Concurrency\n"
         "race:boost::asio::detail\n";
}

}  // extern "C"
// NOLINTEND(bugprone-reserved-identifier)
