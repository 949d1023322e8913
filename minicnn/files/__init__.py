"""The ground floor: tools for files that know nothing of arrays or networks. A student meets them last.

atomic          a file is written whole or not at all
plain_text      text from an unknown source, made safe to print
json_text       JSON from an unknown source, read within bounds
safe_pickle     pickles, read without running anything
zip_archive     zip archives (.npz, .pth), opened with care
archive         tarballs, unpacked inside one folder
"""
