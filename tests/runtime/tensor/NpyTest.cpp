//===- NpyTest.cpp - NumPy files ----------------------------------------------===//

#include "runtime/tensor/Tensor.h"
#include "tests/runtime/TestSupport.h"

#include "llvm/Support/raw_ostream.h"

using namespace npucc;
using namespace npucc::test;

namespace {

void write(const std::string &path, const std::string &bytes) {
  std::error_code code;
  llvm::raw_fd_ostream out(path, code);
  REQUIRE_FALSE(code);
  out << bytes;
}

/// A version 1 file with this dictionary, not padded: the data may be misaligned.
std::string npy(const std::string &dictionary, const std::string &data) {
  std::string header = dictionary + "\n";
  return std::string("\x93NUMPY\x01\x00", 8) + static_cast<char>(header.size()) + '\0' + header +
         data;
}

} // namespace

TEST_CASE("tensors survive .npy files", "[npy]") {
  TemporaryFolder folder;
  std::string path = folder.file("a.npy");
  for (ElementType type :
       {ElementType::Float32, ElementType::Float64, ElementType::Float16, ElementType::Int8,
        ElementType::Uint8, ElementType::Int16, ElementType::Uint16, ElementType::Int32,
        ElementType::Uint32, ElementType::Int64, ElementType::Uint64, ElementType::Bool})
    for (Shape shape : {Shape{}, Shape{1}, Shape{2, 3}, Shape{0, 4}, Shape{2, 1, 3, 1}}) {
      Tensor tensor = Tensor::zeros(type, shape);
      for (size_t i = 0; i < tensor.byteSize(); ++i)
        tensor.mutableData()[i] =
            static_cast<uint8_t>(type == ElementType::Bool ? i % 2 : i * 37 + 1);
      check(writeNpy(path, tensor));
      Tensor back = check(readNpy(path));
      INFO(name(type));
      CHECK(back.type() == type);
      CHECK(back.shape() == tensor.shape());
      CHECK(back.values<uint8_t>() == tensor.values<uint8_t>());
    }
}

TEST_CASE("types that NumPy lacks are written raw", "[npy]") {
  TemporaryFolder folder;
  std::string path = folder.file("a.npy");
  Tensor ones = Tensor::of<float>(ElementType::Float32, {2}, {1, -2});
  check(writeNpy(path, castTensor(ones, ElementType::BFloat16)));
  Tensor back = check(readNpy(path));
  CHECK(back.type() == ElementType::Uint16);
  CHECK(listOf<uint16_t>(back) == std::vector<uint16_t>{0x3F80, 0xC000});
  check(writeNpy(path, castTensor(ones, ElementType::Float8E4M3FN)));
  CHECK(check(readNpy(path)).type() == ElementType::Uint8);
  check(writeNpy(path, castTensor(ones, ElementType::Int4)));
  CHECK(listOf<int8_t>(check(readNpy(path))) == std::vector<int8_t>{1, -2});
  CHECK(errorOf(writeNpy(path, Tensor::strings({1}, {"x"}))).find("cannot be written") !=
        std::string::npos);
}

TEST_CASE("Fortran order is transposed", "[npy]") {
  TemporaryFolder folder;
  std::string path = folder.file("f.npy");
  // [[0, 1, 2], [3, 4, 5]] column by column.
  write(path, npy("{'descr': '|i1', 'fortran_order': True, 'shape': (2, 3), }",
                  std::string("\0\3\1\4\2\5", 6)));
  CHECK(listOf<int8_t>(check(readNpy(path))) == std::vector<int8_t>{0, 1, 2, 3, 4, 5});
}

TEST_CASE("data that is not aligned is copied", "[npy]") {
  TemporaryFolder folder;
  std::string path = folder.file("u.npy");
  write(path, npy("{'descr': '<i4', 'fortran_order': False, 'shape': (1,), } ",
                  std::string("\1\0\0\0", 4)));
  CHECK(check(readNpy(path)).asInt(0) == 1);
  write(path, npy("{'descr': '<i4', 'fortran_order': False, 'shape': (1,), }",
                  std::string("\2\0\0\0", 4)));
  CHECK(check(readNpy(path)).asInt(0) == 2);
}

TEST_CASE("broken .npy files are errors", "[npy]") {
  TemporaryFolder folder;
  std::string path = folder.file("b.npy");
  auto error = [&](const std::string &bytes) {
    write(path, bytes);
    return errorOf(readNpy(path));
  };
  std::string good = "{'descr': '<f4', 'fortran_order': False, 'shape': (4,), }";
  CHECK(error("").find("not a .npy file") != std::string::npos);
  CHECK(error("hello, hello, hello").find("not a .npy file") != std::string::npos);
  CHECK(error(npy(good, "12345")).find("cut short") != std::string::npos);
  CHECK(error(npy(good, "").substr(0, 30)).find("cut short") != std::string::npos);
  CHECK(error(npy("{'descr': '>f4', 'fortran_order': False, 'shape': (1,), }", "abcd"))
            .find("big-endian") != std::string::npos);
  CHECK(error(npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", "abcd"))
            .find("not supported") != std::string::npos);
  CHECK(error(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }", "abcd"))
            .find("bad dimension") != std::string::npos);
  CHECK(error(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (9999999999999999999,), }",
                  "abcd"))
            .find("bad dimension") != std::string::npos);
  CHECK(error(npy("{'descr': '<f4', 'fortran_order': False, "
                  "'shape': (4611686018427387904, 4611686018427387904,), }",
                  "abcd"))
            .find("cut short") != std::string::npos);
  CHECK(error(npy("{}", "")).find("descr") != std::string::npos);
  CHECK(errorOf(readNpy(folder.file("absent.npy"))).find("absent.npy") != std::string::npos);
  CHECK(errorOf(readNpy(folder.file(""))).find("not a regular file") != std::string::npos);
}
