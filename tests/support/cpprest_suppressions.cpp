// What the sanitizers cannot know of cpprestsdk, whose library is not instrumented. Linked only into the
// tests that use it, so that nothing of ours is hidden elsewhere.

// The sanitizers call these by name: https://github.com/google/sanitizers/wiki/ThreadSanitizerSuppressions
// NOLINTBEGIN(bugprone-reserved-identifier): the names are theirs.
extern "C" {

// The counters by which its tasks pass from thread to thread are not seen, so the end of a task looks like a
// race with its use. Boost.Asio's inline functions are shared between its library and our code.
const char* __tsan_default_suppressions() {
  return "race:libcpprest.so\n"
         "race:pplx\n"
         "race:Concurrency\n"
         "race:boost::asio::detail\n";
}

// OpenSSL keeps an error state for each thread; those of the library's own threads live as long as the
// process.
const char* __lsan_default_suppressions() {
  return "leak:libcpprest.so\n";
}

// Only the slow unwinder sees which library a leak came from.
const char* __asan_default_options() {
  return "fast_unwind_on_malloc=0";
}

}  // extern "C"
// NOLINTEND(bugprone-reserved-identifier)
