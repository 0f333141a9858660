package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
)

// replaceFile writes a file that appears with all its content at once, or not at all. A symbolic link stays one.
func replaceFile(name string, write func(io.Writer) error) error {
	place, err := behind(name)
	if err != nil {
		return fmt.Errorf("writing %s: %w", name, unnamed(err))
	}
	f, err := os.CreateTemp(filepath.Dir(place), "."+filepath.Base(place)+".*")
	if err != nil {
		return fmt.Errorf("writing %s: %w", name, unnamed(err))
	}
	defer os.Remove(f.Name()) // gone already if all went well
	giveBack(f)
	if err := errors.Join(write(f), f.Close()); err != nil {
		return fmt.Errorf("writing %s: %w", name, unnamed(err))
	}
	if err := os.Rename(f.Name(), place); err != nil {
		return fmt.Errorf("writing %s: %w", name, unnamed(err))
	}
	return nil
}

// behind is the file that a name leads to, which need not be there yet.
func behind(name string) (string, error) {
	for range 40 { // the kernel gives up there too
		info, err := os.Lstat(name)
		if err != nil || info.Mode()&os.ModeSymlink == 0 {
			return name, nil
		}
		to, err := os.Readlink(name)
		if err != nil {
			return "", err
		}
		if !filepath.IsAbs(to) {
			to = filepath.Join(filepath.Dir(name), to)
		}
		name = to
	}
	return "", errors.New("too many symbolic links")
}

// unnamed is a file's error without the name: that of a temporary file says nothing to anybody.
func unnamed(err error) error {
	var path *fs.PathError
	var link *os.LinkError
	switch {
	case errors.As(err, &path):
		return path.Err
	case errors.As(err, &link):
		return link.Err
	}
	return err
}

// giveBack makes a file written under sudo the property of the person who typed it. Where it fails root keeps it.
func giveBack(f *os.File) {
	uid, err := strconv.Atoi(os.Getenv("SUDO_UID"))
	gid, err2 := strconv.Atoi(os.Getenv("SUDO_GID"))
	if os.Geteuid() == 0 && err == nil && err2 == nil {
		f.Chown(uid, gid)
	}
}

// canWrite says whether a file could be written in the end, before anything else is begun.
func canWrite(name string) error {
	if info, err := os.Stat(name); err == nil && info.IsDir() {
		return errors.New("it is a directory")
	}
	place, err := behind(name)
	if err != nil {
		return unnamed(err)
	}
	f, err := os.CreateTemp(filepath.Dir(place), "."+filepath.Base(place)+".*")
	if err != nil {
		return unnamed(err)
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}
