#include "base/hash.h"

#include <array>
#include <memory>
#include <stdexcept>

#include <openssl/evp.h>

namespace lambda::base {
namespace {

// Fetched once: EVP_sha256() is looked up anew in each EVP_DigestInit, which costs more than a short hash.
const EVP_MD* sha256() {
  static const EVP_MD* const algorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  return algorithm;
}

using Context = std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)>;

Context begin(const EVP_MD* algorithm, const char* name) {
  Context context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  if (!context || algorithm == nullptr || EVP_DigestInit_ex(context.get(), algorithm, nullptr) != 1) {
    throw std::runtime_error(std::string("OpenSSL has no ") +
                             name);  // a broken installation; nothing can go on
  }
  return context;
}

std::string end_as_hex(const Context& context) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int digest_bytes = 0;
  EVP_DigestFinal_ex(context.get(), digest.data(), &digest_bytes);

  constexpr std::string_view hex = "0123456789abcdef";
  std::string out;
  out.reserve(std::size_t{2} * digest_bytes);
  for (unsigned int i = 0; i < digest_bytes; ++i) {
    out += hex[digest[i] >> 4U];
    out += hex[digest[i] & 0x0FU];
  }
  return out;
}

}  // namespace

std::string sha256_hex(std::initializer_list<std::string_view> parts) {
  const Context context = begin(sha256(), "SHA-256");
  for (const std::string_view part : parts) {
    const std::string prefix = std::to_string(part.size()) + ":";
    EVP_DigestUpdate(context.get(), prefix.data(), prefix.size());
    EVP_DigestUpdate(context.get(), part.data(), part.size());
  }
  return end_as_hex(context);
}

std::string md5_hex(std::string_view bytes) {
  const Context context = begin(EVP_md5(), "MD5");
  EVP_DigestUpdate(context.get(), bytes.data(), bytes.size());
  return end_as_hex(context);
}

}  // namespace lambda::base
