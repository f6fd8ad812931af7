//===- ProgramTest.cpp - .npu files, validation, listings -----------------===//

#include "runtime/program/Program.h"

#include "llvm/ADT/ScopeExit.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/Support/xxhash.h"

#include <catch2/catch.hpp>

#include <cstring>

using namespace npucc;

namespace {

Affine affine(int64_t constant, llvm::ArrayRef<Affine::Term> terms = {}) {
  Affine a;
  a.constant = constant;
  a.terms.assign(terms.begin(), terms.end());
  return a;
}

Operand operand(Space space, int64_t offset, ElementType type, llvm::ArrayRef<int64_t> strides) {
  Operand o;
  o.address = {space, -1, affine(offset)};
  o.type = type;
  o.strides.assign(strides.begin(), strides.end());
  return o;
}

BodyInst inst(BodyOp op, int a = -1, int b = -1, double imm = 0) {
  BodyInst i;
  i.op = op;
  i.a = int16_t(a);
  i.b = int16_t(b);
  i.imm = imm;
  return i;
}

LoopDim dim(int64_t extent, bool reduction = false) {
  LoopDim d;
  d.extent = extent;
  d.reduction = reduction;
  return d;
}

/// One of everything, about as small as that can be.
Program sample() {
  Program p;
  p.modelName = "tiny";
  p.modelSha256 = "00ff";
  p.machineName = "edge";
  p.machineYaml = "name: edge\n";
  p.precision = "int8";
  p.parameters = 12;
  p.macs = 96;
  p.estimatedCycles = 1234.5;
  p.assumptions = {"none worth telling"};
  p.dramBytes = 1024;
  p.spmBytes = 512;
  p.accBytes = 256;
  p.loops = {{3}, {2}};
  p.rings = {{2, 64}};
  p.semaphores = {{0}, {2}};

  DmaCommand dma;
  dma.source = {Space::Dram, -1, affine(0, {{0, 32}})};
  dma.target = {Space::Spm, 0, affine(16)};
  dma.type = ElementType::Int8;
  dma.dims.push_back({4, 8, 8, true, 10, 1, affine(-1, {{0, 4}})});
  dma.dims.push_back({8, 1, 1, false, 0, 1, {}});
  p.dma.push_back(dma);

  MatrixCommand m;
  m.dims = {dim(4), dim(4), dim(8, true)};
  m.dims[0].role = LoopRole::Stream;
  m.a = operand(Space::Spm, 0, ElementType::Int8, {8, 0, 1});
  m.b = operand(Space::Spm, 128, ElementType::Int8, {0, 8, 1});
  m.a.guards.push_back({affine(-1), {1, 0, 0}, 3});
  m.a.fill = -3;
  m.aZero = -3;
  m.accumulator = operand(Space::Acc, 0, ElementType::Int32, {16, 4, 0});
  m.clearIf = {false, affine(0, {{0, 1}}), 0};
  m.hasEpilogue = true;
  m.epilogueInputs = {operand(Space::Spm, 256, ElementType::Float32, {0, 4, 0})};
  m.out = operand(Space::Spm, 300, ElementType::Int8, {4, 1, 0});
  m.epilogue.insts = {inst(BodyOp::Input, 0), inst(BodyOp::Input, 1), inst(BodyOp::Mul, 0, 1)};
  m.epilogue.yields = {2};
  p.matrix.push_back(m);

  VectorCommand v;
  v.dims = {dim(16), dim(2, true)};
  v.inputs = {operand(Space::Spm, 300, ElementType::Int8, {1, 0})};
  v.outputs = {operand(Space::Spm, 400, ElementType::Int8, {1, 0})};
  v.initial = {-128};
  v.body.insts = {inst(BodyOp::Input, 0), inst(BodyOp::Input, 1), inst(BodyOp::Max, 0, 1)};
  v.body.yields = {2};
  p.vector.push_back(v);

  GatherCommand g;
  g.indices = operand(Space::Spm, 0, ElementType::Int64, {8});
  g.indexDims = {dim(2)};
  g.axisSize = 4;
  g.axisStride = 8;
  g.source = {Space::Dram, -1, affine(0)};
  g.target = {Space::Spm, -1, affine(440)};
  g.targetIndexStrides = {8};
  g.type = ElementType::Int8;
  g.row.push_back({8, 1, 1, false, 0, 1, {}});
  p.gather.push_back(g);

  p.host.push_back({0, {0, -1}, {2}, {}});
  Node node;
  node.name = "sort";
  node.opType = "TopK";
  node.inputs = {0, kNoValue};
  node.outputs = {1};
  node.attributes["axis"].value = int64_t(1);
  node.attributes["alpha"].value = 0.5f;
  node.attributes["mode"].value = std::string("linear");
  node.attributes["scales"].value = std::vector<float>{1, 2};
  node.attributes["names"].value = std::vector<std::string>{"a", "b"};
  node.attributes["table"].value =
      Tensor::of<int32_t>(ElementType::Int32, {2}, {int32_t(5), int32_t(6)});
  auto graph = std::make_shared<Graph>();
  graph->values.resize(2);
  graph->values[0].name = "x";
  graph->values[0].dims = {Dim{-1, "n"}};
  graph->inputs = {0};
  graph->outputs = {1};
  graph->constants[1] = Tensor::strings({1}, {"text"});
  graph->captures = {{0, 3}};
  node.attributes["body"].value = graph;
  p.hostNodes.push_back(node);

  for (uint32_t k = 0; k < 5; ++k)
    p.commands.push_back({static_cast<CommandKind>(k), 0, 0});
  using K = Instruction::Kind;
  p.streams.resize(2);
  p.streams[0].engine = EngineKind::Load;
  p.streams[0].code = {{K::LoopBegin, 0}, {K::Advance, 0}, {K::Wait, 1}, {K::Run, 0},
                       {K::Signal, 0},    {K::LoopEnd, 0}, {K::Run, 3}};
  p.streams[1].engine = EngineKind::Matrix;
  p.streams[1].channel = 1;
  p.streams[1].code = {{K::LoopBegin, 0}, {K::LoopBegin, 1}, {K::Wait, 0, true},
                       {K::Run, 1},       {K::LoopEnd, 1},   {K::Signal, 1},
                       {K::LoopEnd, 0},   {K::Run, 2},       {K::Run, 4}};

  Recipe leaf, made;
  leaf.data = Tensor::of<int8_t>(ElementType::Int8, {2, 2}, {1, 2, 3, 4});
  made.node.name = "transpose";
  made.node.opType = "Transpose";
  made.node.inputs = {0};
  p.recipes = {leaf, made};
  for (auto kind :
       {ProgramTensor::Kind::Input, ProgramTensor::Kind::Constant, ProgramTensor::Kind::Output}) {
    ProgramTensor t;
    t.kind = kind;
    t.name = "t" + std::to_string(p.tensors.size());
    t.type = ElementType::Int8;
    t.shape = {2, 2};
    t.strides = {2, 1};
    t.address = 64 * int64_t(p.tensors.size());
    t.bytes = 4;
    t.recipe = kind == ProgramTensor::Kind::Constant ? 1 : -1;
    t.externalType =
        kind == ProgramTensor::Kind::Input ? ElementType::Float32 : ElementType::Undefined;
    p.tensors.push_back(t);
  }
  p.layers.resize(2);
  p.layers[0].node = "conv1";
  p.layers[0].op = "Conv";
  p.layers[0].macs = 96;
  p.layers[1].node = "relu1";
  p.layers[1].foldedInto = 0;
  return p;
}

std::string temporary() {
  llvm::SmallString<128> path;
  REQUIRE(!llvm::sys::fs::createTemporaryFile("npucc-program", "npu", path));
  return path.str().str();
}

std::string slurp(const std::string &path) {
  auto buffer = llvm::MemoryBuffer::getFile(path);
  REQUIRE(buffer);
  return (*buffer)->getBuffer().str();
}

void spit(const std::string &path, const std::string &bytes) {
  std::error_code error;
  llvm::raw_fd_ostream out(path, error);
  out << bytes;
}

std::string why(llvm::Error error) { return llvm::toString(std::move(error)); }

/// Makes the checksums right again, so that what is behind them gets tested.
void fixChecksums(std::string &file) {
  size_t offset = 128; // 16 + 4 * 24 rounded up to 64
  for (size_t entry = 16; entry < 16 + 4 * 24; entry += 24) {
    uint64_t length;
    std::memcpy(&length, &file[entry + 8], 8);
    if (offset > file.size() || length > file.size() - offset)
      return;
    uint64_t sum = llvm::xxh3_64bits(llvm::StringRef(file).substr(offset, length));
    std::memcpy(&file[entry + 16], &sum, 8);
    offset = (offset + length + 63) / 64 * 64;
  }
}

} // namespace

TEST_CASE("a program survives a round trip", "[program]") {
  Program p = sample();
  REQUIRE(why(validate(p, 512, 256)) == "");
  std::string path = temporary(), again = temporary();
  llvm::scope_exit cleanup([&] {
    llvm::sys::fs::remove(path);
    llvm::sys::fs::remove(again);
  });
  REQUIRE(why(writeProgram(p, path)) == "");
  auto read = readProgram(path);
  INFO((read ? "" : why(read.takeError())));
  REQUIRE(bool(read));
  CHECK(disassemble(*read) == disassemble(p));
  CHECK(read->matrix[0].a.guards[0].bound == 3);
  CHECK(read->matrix[0].dims[0].role == LoopRole::Stream);
  CHECK(read->tensors[0].externalType == ElementType::Float32);
  CHECK(read->layers[1].foldedInto == 0);
  CHECK(read->hostNodes[0].getInt("axis", 0) == 1);
  CHECK(read->hostNodes[0].getTensor("table")->asInt(1) == 6);
  CHECK(read->hostNodes[0].getGraph("body")->constants.at(1).stringValues()[0] == "text");
  CHECK(read->recipes[0].data.asInt(3) == 4);
  CHECK_FALSE(read->recipes[1].data.defined());
  CHECK(read->streams[1].code[2].redundant);
  // Everything that was read is written again, so the files are equal.
  REQUIRE(why(writeProgram(*read, again)) == "");
  CHECK(slurp(again) == slurp(path));
}

TEST_CASE("damaged files give an error or a valid program", "[program]") {
  std::string path = temporary();
  llvm::scope_exit cleanup([&] { llvm::sys::fs::remove(path); });
  REQUIRE(why(writeProgram(sample(), path)) == "");
  const std::string good = slurp(path);
  size_t valid = 0, failed = 0;
  auto probe = [&](const std::string &bytes) {
    auto program = parseProgram(llvm::MemoryBuffer::getMemBufferCopy(bytes, path));
    if (!program) {
      std::string text = why(program.takeError());
      REQUIRE(text.find('\n') == std::string::npos);
      REQUIRE(text.rfind(path, 0) == 0);
      ++failed;
    } else {
      disassemble(*program);
      ++valid;
    }
  };
  SECTION("a flipped byte, seen by the checksum") {
    for (size_t i = 0; i < good.size(); i += 7) {
      std::string bad = good;
      bad[i] = char(~bad[i]);
      probe(bad);
    }
    CHECK(failed > good.size() / 10);
  }
  SECTION("flipped bytes with the checksum made right") {
    for (size_t i = 0; i < good.size(); ++i)
      for (int mask : {0xff, 0x01, 0x80}) {
        std::string bad = good;
        bad[i] = char(bad[i] ^ mask);
        fixChecksums(bad);
        probe(bad);
      }
    CHECK(valid > 0);
    CHECK(failed > 0);
  }
  SECTION("cut short") {
    for (size_t size = 0; size < good.size(); size += 13)
      probe(good.substr(0, size));
    CHECK(failed > 10);
  }
  SECTION("not a program at all") {
    spit(path, "hello");
    CHECK_THAT(why(readProgram(path).takeError()), Catch::Contains("not an npucc program"));
    CHECK_THAT(why(readProgram("/nonexistent.npu").takeError()), Catch::Contains("cannot open"));
  }
}

TEST_CASE("validation names what is wrong", "[program]") {
  Program p = sample();
  auto reason = [&] { return why(validate(p, 512, 256)); };
  SECTION("memories") {
    CHECK_THAT(why(validate(p, 511, 256)),
               Catch::Contains("needs 512 bytes of scratchpad, the machine has 511"));
  }
  SECTION("loops") {
    p.streams[0].code.pop_back();
    p.streams[0].code.pop_back();
    CHECK_THAT(reason(), Catch::Contains("a loop does not end"));
  }
  SECTION("crossed loops") {
    std::swap(p.streams[1].code[4], p.streams[1].code[6]);
    CHECK_THAT(reason(), Catch::Contains("loops are not nested"));
  }
  SECTION("a loop from elsewhere") {
    p.dma[0].source.offset.terms[0].loop = 1;
    CHECK_THAT(reason(), Catch::Contains("uses loop 1, which is not around it"));
  }
  SECTION("an address beyond the end") {
    p.matrix[0].b.address.offset.constant = 600;
    CHECK_THAT(reason(), Catch::Contains("conv1") && Catch::Contains("outside the scratchpad"));
  }
  SECTION("a trip count") {
    p.loops[0].trips = 0;
    CHECK_THAT(reason(), Catch::Contains("loop trip count 0"));
  }
  SECTION("a body that uses a later value") {
    p.vector[0].body.insts[2].b = 2;
    CHECK_THAT(reason(), Catch::Contains("body instruction 2 uses value 2"));
  }
  SECTION("recipes in a circle") {
    p.recipes[1].node.inputs = {1};
    CHECK_THAT(reason(), Catch::Contains("does not stand before it"));
  }
  SECTION("strides missing") {
    p.vector[0].inputs[0].strides.pop_back();
    CHECK_THAT(reason(), Catch::Contains("1 strides for 2 loop dimensions"));
  }
}

TEST_CASE("the listing numbers Run and Wait and names nodes", "[program]") {
  std::string text = disassemble(sample());
  INFO(text);
  CHECK_THAT(text, Catch::Contains("     0    wait s1"));
  CHECK_THAT(text,
             Catch::Contains("     1    dma dram[32*L0] -> spm[16 + ring0] int8 "
                             "4 in 0..10 at -1 + 4*L0 x 8, strides 8>8 1>1   ; conv1 (Conv)"));
  CHECK_THAT(text, Catch::Contains("     3      wait s0   ; redundant"));
  CHECK_THAT(text, Catch::Contains("     6  host TopK"));
  CHECK_THAT(text, Catch::Contains("loop L1 x 2 {"));
}
