//===- BadFiles.h - Hostile and broken ONNX files ---------------*- C++ -*-===//
#pragma once

#include "tests/fuzz/OnnxMutator.h"
#include "tests/runtime/onnx/ModelBuilder.h"

#include <array>

namespace npucc::test {

/// Numbers of files to try: `standard`, or what NPUCC_BAD_FILES=FIRST:END says, to look for more.
struct FileRange {
  static FileRange given(FileRange standard);
  unsigned first, end;
};

class BadFiles;
/// One way in which a file can be bad.
struct BadKind {
  const char *name;
  /// What the message must say; such a file is never valid. nullptr: it may be.
  const char *says;
  void (BadFiles::*make)();
};

/// Makes files that are damaged, or that ask for what makes no sense: the same ones on any
/// machine. Many are nevertheless valid.
class BadFiles {
public:
  BadFiles();

  static llvm::ArrayRef<BadKind> kinds();
  /// The kind of file number `index`: each in turn.
  static const BadKind &kindOf(unsigned index) { return kinds()[index % kinds().size()]; }
  /// Writes file number `index` and whatever external data it refers to; returns its path.
  std::string write(unsigned index);
  /// Operators of the file written last, where chance chose them.
  const std::string &details() const { return description; }

  // What BadKind::make calls. Damage to the bytes:
  void truncated();
  void wrongBits();
  void wrongBytes();
  // Tensors that do not hold what they claim:
  void shortData();
  void overflowingShape();
  void hugeTensor();
  void anyTensor();
  void sparseTensor();
  void outsideFolder();
  void absolutePath();
  void throughLink();
  void badExternal();
  // Attributes of windows:
  void strideZero();
  void dilationZero();
  void negativePads();
  void undividedGroups();
  void anyWindow();
  // Graphs:
  void cycle();
  void undefinedValue();
  void deepNesting();
  void absurdOpset();
  void anyVersions();
  void functions();
  void impossibleInputs();
  void loops();
  void anyOperator();
  void changedFields();

private:
  uint64_t below(uint64_t limit) { return mutator.below(limit); }
  bool oneIn(uint64_t count) { return mutator.oneIn(count); }
  template <typename List> auto pick(const List &list) { return mutator.pick(list); }
  int64_t number() { return mutator.number(); }
  GraphFiller graph() { return {*model.mutable_graph()}; }
  /// A convolution or pool of a small input, with chance's sizes.
  NodeBuilder smallWindow(bool weighted);
  onnx::TensorProto &external(const char *location);

  TemporaryFolder folder;
  std::array<std::string, 2> networks; ///< bytes of the bundled ones
  OnnxMutator mutator;
  onnx::ModelProto model;
  std::string bytes; ///< of one of the networks, or empty: the model is written
  std::string description;
};

} // namespace npucc::test
