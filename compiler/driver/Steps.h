//===- Steps.h - Models with state, run step by step --------------*- C++ -*-===//
#pragma once

#include "compiler/driver/Options.h"

namespace npucc {

/// What --steps, --feed, --generate and --prompt ask for, and how far they are. Without them one
/// step of the given inputs.
class Steps {
public:
  /// Reads --input and --prompt. A decoder's caches are found by their names where no --feed
  /// says which they are; they start empty.
  static llvm::Expected<Steps> plan(const Graph &graph, const Options &options);

  /// Of the next step: these inputs, and the shapes of the others.
  const NamedTensors &inputs() const { return given; }
  const Options &options() const { return settings; }
  bool isLast() const { return done + 1 >= count; }
  /// A step had these inputs and outputs: the next one's inputs follow.
  llvm::Error advance(NamedTensors inputs, const NamedTensors &outputs);

  int64_t stepCount() const { return count; }
  /// Those of --generate so far.
  const std::vector<int64_t> &tokens() const { return generated; }

private:
  explicit Steps(const Options &options) : settings(options) {}
  llvm::Error readFeeds(const Graph &graph);
  llvm::Error readPrompt(const Graph &graph);
  void pairCaches(const Graph &graph);
  llvm::Error generate(const NamedTensors &outputs);

  Options settings;
  NamedTensors given;
  int64_t count = 1, done = 0;
  std::vector<std::pair<std::string, std::string>> feeds; ///< output, input
  std::string tokenInput, logits;                         ///< of --generate
  std::vector<int64_t> text, generated;
};

} // namespace npucc
