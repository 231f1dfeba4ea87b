#include "yaml/document.h"

#include <sstream>
#include <utility>

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

namespace lambda::yaml {
namespace {

Place place_of(const YAML::Mark& mark) {
  if (mark.line < 0 || mark.column < 0) return {};
  return {static_cast<std::size_t>(mark.line) + 1, static_cast<std::size_t>(mark.column) + 1};
}

// Thrown through yaml-cpp's parser, which has no other way to be stopped.
struct Refused {
  YamlError error;
};

class TreeBuilder : public YAML::EventHandler {
 public:
  YamlValue take() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (std::exchange(begun_, true)) {
      throw Refused{{place_of(mark), "a second document begins here; accepted: one document"}};
    }
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    refuse_anchor(mark, anchor);
    add({.kind = YamlValue::Kind::null, .place = place_of(mark), .text = {}, .plain = false, .children = {}});
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override { refuse_anchor(mark, anchor); }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    refuse_anchor(mark, anchor);
    const bool plain = tag == "?";
    add({.kind = YamlValue::Kind::scalar,
         .place = place_of(mark),
         .text = value,
         .plain = plain,
         .children = {}});
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& /*tag*/, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value /*style*/) override {
    open(YamlValue::Kind::list, mark, anchor);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& /*tag*/, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value /*style*/) override {
    open(YamlValue::Kind::map, mark, anchor);
  }
  void OnMapEnd() override { close(); }

 private:
  static void refuse_anchor(const YAML::Mark& mark, YAML::anchor_t anchor) {
    if (anchor == YAML::NullAnchor) return;
    throw Refused{{place_of(mark), "anchors (&) and aliases (*) are not accepted; write the value out"}};
  }

  void open(YamlValue::Kind kind, const YAML::Mark& mark, YAML::anchor_t anchor) {
    refuse_anchor(mark, anchor);
    open_.push_back({.kind = kind, .place = place_of(mark), .text = {}, .plain = false, .children = {}});
  }

  void close() {
    YamlValue done = std::move(open_.back());
    open_.pop_back();
    add(std::move(done));
  }

  void add(YamlValue value) {
    if (open_.empty()) {
      root_ = std::move(value);
    } else {
      open_.back().children.push_back(std::move(value));
    }
  }

  bool begun_ = false;
  YamlValue root_;
  std::vector<YamlValue> open_;  // lists and maps whose end has not come yet, the innermost last
};

}  // namespace

tl::expected<YamlValue, YamlError> read_yaml(std::string_view text) {
  std::istringstream stream{std::string(text)};
  TreeBuilder tree;
  try {
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(tree)) {
    }
    return tree.take();
  } catch (const Refused& refused) {
    return tl::unexpected(refused.error);
  } catch (const YAML::Exception& error) {
    return tl::unexpected(YamlError{place_of(error.mark), "this is not YAML: " + error.msg});
  }
}

}  // namespace lambda::yaml
