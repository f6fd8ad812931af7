//===- BadFiles.h - Hostile and broken ONNX files ---------------*- C++ -*-===//
#pragma once

#include "tests/runtime/onnx/ModelBuilder.h"

#include <array>
#include <random>

namespace npucc::test {

/// Numbers of files to try: `standard`, or what NPUCC_BAD_FILES=FIRST:END says, to look for more.
struct FileRange {
  static FileRange given(FileRange standard);
  unsigned first, end;
};

/// Makes files that are damaged, or that ask for what makes no sense: the same ones on any
/// machine. Many are nevertheless valid.
class BadFiles {
public:
  BadFiles();

  /// Writes file number `index` and whatever external data it refers to; returns its path.
  std::string write(unsigned index);
  /// What is wrong with the file written last.
  const std::string &what() const { return description; }

private:
  uint64_t below(uint64_t limit) { return random() % limit; }
  bool oneIn(uint64_t count) { return below(count) == 0; }
  template <typename List> auto pick(const List &list) { return list[below(std::size(list))]; }
  int64_t number();
  std::vector<int64_t> numbers(size_t most);

  std::string damagedBytes(std::string bytes);
  void badWindow(GraphFiller graph);
  void badTensor(GraphFiller graph);
  void badExternal(GraphFiller graph);
  void badGraph(onnx::ModelProto &model);
  void badOperator(onnx::ModelProto &model);
  void badAttribute(NodeBuilder node);
  void mutate(google::protobuf::Message &message);

  TemporaryFolder folder;
  std::array<std::string, 2> networks; ///< bytes of the bundled ones
  std::mt19937_64 random;
  std::string description;
};

} // namespace npucc::test
