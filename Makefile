.PHONY: build test format lint
build:
	swift build -c release
test:
	swift test -c release -Xswiftc -enable-testing
format:
	swift format --in-place --recursive Package.swift Sources Tests benchmarks
lint:
	swift format lint --strict --recursive Package.swift Sources Tests benchmarks
