// Configuration files, from the disk to a tree.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <tl/expected.hpp>

#include "yaml/document.h"
#include "yaml/problem.h"

namespace lambda::yaml {

inline constexpr std::size_t file_max_bytes = std::size_t{1} << 20;

/// One problem with the file as a whole, or at a place of it.
tl::unexpected<std::vector<Problem>> refuse_file(const std::string& file, std::string message,
                                                 Place place = {});

/// The file's text, cut to one byte more than parse_file accepts. One that can't be read is a problem.
tl::expected<std::string, std::vector<Problem>> read_file(const std::string& file);

/// The one document of a text that stands in a file; too long a text, too.
tl::expected<YamlValue, std::vector<Problem>> parse_file(std::string_view text, const std::string& file);

}  // namespace lambda::yaml
