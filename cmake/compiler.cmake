# What every target is compiled with: the language, the warnings, the sanitizers.

if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  message(FATAL_ERROR
    "g++ ${CMAKE_CXX_COMPILER_VERSION} generates wrong code for coroutines (double frees of temporaries "
    "in expressions that contain co_await). Build with clang-19: hack/build, or cmake --preset release.")
endif()

option(LAMBDA_BUILD_FUZZERS "build the libFuzzer targets" OFF)
set(LAMBDA_SANITIZE "" CACHE STRING "what to instrument with, as -fsanitize= takes it")

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)

find_program(CCACHE ccache)
if(CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
endif()

add_library(lambda_options INTERFACE)
target_compile_options(lambda_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wold-style-cast
  -Wnon-virtual-dtor -Werror)
# Boost 1.74 does not see clang's coroutines by itself; it also needs <utility> before asio's headers.
target_compile_options(lambda_options INTERFACE -include utility)
target_compile_definitions(lambda_options INTERFACE
  BOOST_ASIO_HAS_CO_AWAIT=1 BOOST_ASIO_HAS_STD_COROUTINE=1
  _TURN_OFF_PLATFORM_STRING  # cpprestsdk's macro U breaks other libraries' templates
  LAMBDA_VERSION="${PROJECT_VERSION}")
target_link_libraries(lambda_options INTERFACE Threads::Threads)
target_link_options(lambda_options INTERFACE -fuse-ld=lld)

if(LAMBDA_SANITIZE)
  # vptr compares type information by address, which differs between our code and cpprestsdk's shared library.
  target_compile_options(lambda_options INTERFACE
    -fsanitize=${LAMBDA_SANITIZE} -fno-sanitize-recover=all -fno-sanitize=vptr -fno-omit-frame-pointer)
  target_link_options(lambda_options INTERFACE -fsanitize=${LAMBDA_SANITIZE})
  # A recycled coroutine frame would hide its use after the end from the sanitizer.
  target_compile_definitions(lambda_options INTERFACE BOOST_ASIO_DISABLE_AWAITABLE_FRAME_RECYCLING)
endif()
if(LAMBDA_BUILD_FUZZERS)
  target_compile_options(lambda_options INTERFACE -fsanitize=fuzzer-no-link)
endif()
